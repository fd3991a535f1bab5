"""Boards written down: as a workbook, as a page to print."""
