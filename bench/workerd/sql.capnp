using Workerd = import "/workerd/workerd.capnp";

# The directory behind `storage` and the address of `http` come from the command line.
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .store),
    (name = "storage", disk = (writable = true)),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);

const store :Workerd.Worker = (
  compatibilityDate = "2025-01-01",
  modules = [(name = "sql.js", esModule = embed "sql.js")],
  durableObjectNamespaces = [(className = "Store", uniqueKey = "petra-bench-store", enableSql = true)],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [(name = "STORES", durableObjectNamespace = "Store")],
);
