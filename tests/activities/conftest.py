from tests.shared_database import brand, database, ledger, shared_database, shop

__all__ = ["brand", "database", "ledger", "shared_database", "shop"]
