"""What the events say, as rows: one set of SQL from which rebuild, comparison and reading as of the past follow.

`telling` reads the events of a scope (everything or some streams, up to a position or instant) once and lays their
fields out in typed temporary tables; `upcasting` gives old payloads their newest shape on the way. Each projection is
a query over those tables (`plans`, `items`, `days`, `people`; listed in `projections`). `comparing` holds them against
what is kept, `rebuilding` mends what differs.
"""
