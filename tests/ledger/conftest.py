from tests.shared_database import brand, database, ledger, served, shared_database, shop

__all__ = ["brand", "database", "ledger", "served", "shared_database", "shop"]
