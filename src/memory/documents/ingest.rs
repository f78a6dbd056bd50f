//! A document comes in: it begins, and its parts are kept one after the other.

use bytes::Bytes;

use crate::catalog::{DOCUMENT_BYTES_MAX, PARTS_MAX, PartRefused, Spot, plan_part, plan_start};
use crate::chance::incarnation;
use crate::error::{Failure, Reason};
use crate::memory::{
    Memory,
    documents::{ATTEMPTS_MAX, COLLECTIONS_MAX, contention},
};
use crate::record::{DocumentHeader, UploadRow, document_keys as keys};
use crate::sessions::Revised;
use crate::storage::Read;
use crate::telemetry::document_bytes;
use crate::types::{Generation, Incarnation, RequestId, TenantId};

/// A document that is coming in, held by one stream.
#[derive(Debug)]
pub struct Upload {
    pub(super) spot: Spot,
    pub(super) life: Incarnation,
    pub(super) row: Revised<UploadRow>,
    pub(super) request_id: Option<RequestId>,
}

/// An upload that may go on.
#[derive(Debug)]
pub struct Started {
    /// Its name for a later stream.
    pub generation: Generation,
    /// How many bytes are on disk already.
    pub bytes_durable: u64,
}

impl Upload {
    /// What a caller needs to know of it.
    pub fn started(&self) -> Started {
        let UploadRow { generation, bytes_durable, .. } = self.row.row;
        Started { generation, bytes_durable }
    }

    /// Which document it is.
    pub fn spot(&self) -> &Spot {
        &self.spot
    }
}

impl Memory {
    /// Begins a document, or goes on with the upload `resumed`.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND` when there is nothing to go on with, `INVALID_REQUEST` when the header is
    /// not that of the upload; `TOO_MANY_COLLECTIONS`, `CONTENTION`, and what the store refuses.
    pub async fn start_upload(
        &self,
        spot: Spot,
        header: &DocumentHeader,
        resumed: Option<Generation>,
        request_id: Option<RequestId>,
    ) -> Result<Upload, Failure> {
        for _ in 0..ATTEMPTS_MAX {
            let known = self.known(&spot).await?;
            if let Some(generation) = resumed {
                let life = known.collection.map(|row| row.row.incarnation);
                let same = |upload: &Revised<UploadRow>| upload.row.generation == generation;
                let Some((life, row)) = life.zip(known.upload.filter(same)) else {
                    let message = "the upload is whole, was replaced, or was given up";
                    return Err(Failure::new(Reason::UploadNotFound, message).at("upload_id"));
                };
                if row.row.header != *header {
                    let message = "an upload goes on with the header that it began with";
                    return Err(Failure::new(Reason::InvalidRequest, message).at("upload_id"));
                }
                return Ok(Upload { spot, life, row, request_id });
            }
            if known.collection.is_none() {
                self.room_for_collection(&spot.tenant).await?;
            }
            let now = self.now();
            let fresh = (incarnation(now, self.chance.as_ref()), self.fresh_generation());
            let (draft, life, row) = plan_start(
                &spot,
                known.collection.as_ref(),
                known.upload.as_ref(),
                header,
                fresh,
                now,
            );
            if let Some(revision) = self.commit_draft(draft).await? {
                if let Some(replaced) = known.upload {
                    self.forget_content(replaced.row.generation).await?;
                }
                return Ok(Upload { spot, life, row: Revised { row, revision }, request_id });
            }
        }
        Err(contention())
    }

    async fn room_for_collection(&self, tenant: &TenantId) -> Result<(), Failure> {
        let all = Read::prefix(keys::collections(tenant)).limit(COLLECTIONS_MAX);
        if self.read(vec![all]).await?[0].len() < COLLECTIONS_MAX {
            return Ok(());
        }
        let message = format!("a tenant has at most {COLLECTIONS_MAX} collections");
        Err(Failure::new(Reason::TooManyCollections, message).over("collections"))
    }

    /// Keeps a part of a document; it is on disk then.
    ///
    /// # Errors
    /// `PART_OUT_OF_ORDER`, `BYTES_MISMATCH`, `DOCUMENT_TOO_LARGE`; `UPLOAD_REPLACED` when another
    /// stream began the document anew, or it or its collection was deleted; what the store refuses.
    pub async fn keep_part(
        &self,
        upload: &mut Upload,
        offset: u64,
        part: Bytes,
    ) -> Result<u64, Failure> {
        let Upload { spot, life, row, .. } = upload;
        if part.is_empty() && offset == row.row.bytes_durable {
            return Ok(offset);
        }
        let bytes = part.len();
        let planned = plan_part(spot, *life, row, (offset, part), self.now());
        let (draft, after) = planned.map_err(|refused| part_failure(refused, &row.row))?;
        match self.commit_draft(draft).await? {
            Some(revision) => {
                *row = Revised { row: after, revision };
                document_bytes(bytes);
                Ok(row.row.bytes_durable)
            }
            None => Err(replaced()),
        }
    }
}

/// What a stream hears whose upload is not there any more.
pub(super) fn replaced() -> Failure {
    let message = "the upload is gone: the document was begun anew, or deleted, by another call";
    Failure::new(Reason::UploadReplaced, message)
}

fn part_failure(refused: PartRefused, upload: &UploadRow) -> Failure {
    match refused {
        PartRefused::OutOfOrder { expected } => {
            let message = format!("the next part begins at byte `{expected}`");
            Failure::new(Reason::PartOutOfOrder, message).with("bytes_durable", expected)
        }
        PartRefused::TooLarge if upload.header.bytes > 0 => bytes_mismatch(upload),
        PartRefused::TooLarge => {
            let message = format!("a document may have at most {DOCUMENT_BYTES_MAX} bytes");
            Failure::new(Reason::DocumentTooLarge, message).over("document_bytes")
        }
        PartRefused::TooMany => {
            let message = format!("a document may come in at most {PARTS_MAX} parts");
            Failure::new(Reason::DocumentTooLarge, message).over("document_parts")
        }
    }
}

/// More or fewer bytes came than the header says.
pub(super) fn bytes_mismatch(upload: &UploadRow) -> Failure {
    let UploadRow { header, bytes_durable, .. } = upload;
    let message =
        format!("the header says `{}` bytes, `{bytes_durable}` came before this", header.bytes);
    Failure::new(Reason::BytesMismatch, message)
}
