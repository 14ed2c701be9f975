"""Generators that write small data sets in each recipe's real file format."""
