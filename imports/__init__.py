"""Imports: a brand's stores, guides, members and purchases, from its files into fact tables.

A file is read whole (`reading`), its headers are understood in English or Chinese (`columns`), every
cell is checked column by column without a loop over rows (`checking`, `purchases`, `people`), and what
is valid goes into the database in one transaction that ends with one `imported` event (`loading`).

Codes, names and phones of people reach the `*_person` tables only; facts and events carry derived ids.
"""
