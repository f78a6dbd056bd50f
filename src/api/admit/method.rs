//! What each method is to admission.

use crate::admission::Class;
use crate::api::admit::Lane;

/// A method of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its path, after `/keepsake.v1.`.
    pub path: &'static str,
    /// What it is scarce of.
    pub lane: Lane,
    /// How urgent it is, when its request is small.
    pub class: Class,
    /// Whether its request is a stream: then what it brings is admitted piece by piece.
    pub streams: bool,
}

const fn method(path: &'static str, lane: Lane, class: Class) -> Method {
    Method { path, lane, class, streams: false }
}

/// The one whose requests are streams.
const INGEST: Method = Method {
    path: "DocumentService/IngestDocuments",
    lane: Lane::Writes,
    class: Class::Ingest,
    streams: true,
};

/// The place of [`INGEST`] in the table.
pub(super) fn ingest() -> usize {
    METHODS.iter().position(|method| method.streams).expect("it is in the table")
}

/// Every method. Its place in the table is its kind: see [`crate::admission::Limit::sample`].
pub const METHODS: [Method; 32] = [
    method("MemoryService/BuildContext", Lane::Reads, Class::Interactive),
    method("MemoryService/AppendTurns", Lane::Writes, Class::Interactive),
    method("MemoryService/Search", Lane::Reads, Class::Interactive),
    method("MemoryService/GetSession", Lane::Reads, Class::Interactive),
    method("MemoryService/CreateSession", Lane::Writes, Class::Interactive),
    method("MemoryService/UpdateSession", Lane::Writes, Class::Interactive),
    method("MemoryService/DeleteTurns", Lane::Writes, Class::Interactive),
    method("MemoryService/DeleteSession", Lane::Writes, Class::Ingest),
    method("MemoryService/ForkSession", Lane::Writes, Class::Ingest),
    method("MemoryService/ListTurns", Lane::Reads, Class::Ingest),
    method("MemoryService/ListSessions", Lane::Reads, Class::Ingest),
    method("MemoryService/ListSummaries", Lane::Reads, Class::Ingest),
    INGEST,
    method("DocumentService/GetIngestStatus", Lane::Reads, Class::Interactive),
    method("DocumentService/GetDocument", Lane::Reads, Class::Interactive),
    method("DocumentService/ListDocuments", Lane::Reads, Class::Ingest),
    method("DocumentService/DeleteDocument", Lane::Writes, Class::Ingest),
    method("DocumentService/ListCollections", Lane::Reads, Class::Ingest),
    method("DocumentService/DeleteCollection", Lane::Writes, Class::Ingest),
    method("TenantService/GetTenant", Lane::Reads, Class::Interactive),
    method("TenantService/ListTenants", Lane::Reads, Class::Ingest),
    method("TenantService/CreateTenant", Lane::Writes, Class::Interactive),
    method("TenantService/UpdateTenant", Lane::Writes, Class::Interactive),
    method("TenantService/CreateApiKey", Lane::Writes, Class::Interactive),
    method("TenantService/RevokeApiKey", Lane::Writes, Class::Interactive),
    method("TenantService/ListApiKeys", Lane::Reads, Class::Ingest),
    method("TenantService/ListJobs", Lane::Reads, Class::Ingest),
    method("TenantService/RetryJob", Lane::Writes, Class::Interactive),
    method("TenantService/GetErasure", Lane::Reads, Class::Interactive),
    method("TenantService/EraseFiles", Lane::Writes, Class::Interactive),
    method("TenantService/GetEmbedding", Lane::Reads, Class::Interactive),
    method("TenantService/SwitchEmbedding", Lane::Writes, Class::Interactive),
];

/// The method of a path, with its kind; `None`: health, reflection, or no method at all.
pub(super) fn of_path(path: &str) -> Option<(usize, &'static Method)> {
    let path = path.strip_prefix("/keepsake.v1.")?;
    METHODS.iter().enumerate().find(|(_, method)| method.path == path)
}
