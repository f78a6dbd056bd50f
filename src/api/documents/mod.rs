//! `keepsake.v1.DocumentService`.

mod parse;
mod render;
mod stream;

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::api::{
    Admission,
    call::{Calls, answer, refused},
    parse::Faults,
};
use crate::error::{Failure, Reason};
use crate::memory::{Range, View};
use crate::proto::{v1 as pb, v1::document_service_server::DocumentService};
use crate::record::{Answer, Scopes};
use parse::spot;
pub use parse::{PART_BYTES_MAX, TITLE_BYTES_MAX};
pub use stream::IDLE_MAX;

/// The most collections of a page.
pub const COLLECTIONS_PAGE_MAX: u32 = 100;

/// The service.
pub struct DocumentApi {
    calls: Calls,
    admission: Arc<Admission>,
}

impl DocumentApi {
    /// The service over the verbs; `admission` lets the parts of documents in.
    pub fn new(calls: Calls, admission: Arc<Admission>) -> Self {
        Self { calls, admission }
    }

    async fn status(
        &self,
        request: Request<pb::GetIngestStatusRequest>,
    ) -> Result<Response<pb::GetIngestStatusResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let request = request.get_ref();
        let mut faults = Faults::default();
        let spot = spot(&mut faults, &caller.tenant, &request.collection, &request.document_id);
        let spot = faults.check(spot)?;
        let (document, upload) = self.calls.memory.ingest_status(&spot).await?;
        let document = document.map(|found| render::document(&spot.collection, found));
        let upload = upload.map(|upload| upload.row);
        Ok(Response::new(pb::GetIngestStatusResponse {
            document,
            upload_id: upload
                .as_ref()
                .map_or_else(String::new, |row| render::hex(&row.generation.0)),
            bytes_durable: upload.as_ref().map_or(0, |row| row.bytes_durable),
            upload_time: upload.map(|row| crate::api::render::time(row.at)),
        }))
    }

    async fn get(
        &self,
        request: Request<pb::GetDocumentRequest>,
    ) -> Result<Response<pb::GetDocumentResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let request = request.get_ref();
        let mut faults = Faults::default();
        let spot = spot(&mut faults, &caller.tenant, &request.collection, &request.document_id);
        if request.bytes as usize > PART_BYTES_MAX {
            faults.add("bytes", format!("must be at most {PART_BYTES_MAX}"));
        }
        let view = match faults.wire_enum("view", request.view) {
            Some(pb::DocumentView::Bytes) => Some(View::Bytes),
            Some(pb::DocumentView::Text) => Some(View::Text),
            Some(pb::DocumentView::Unspecified) | None => None,
        };
        let spot = faults.check(spot)?;
        let bytes = if request.bytes == 0 { PART_BYTES_MAX as u32 } else { request.bytes };
        let range = Range { offset: request.offset, bytes };
        let wanted = view.map(|view| (view, range));
        let (found, data) = self.calls.memory.get_document(&spot, wanted).await?;
        let document = Some(render::document(&spot.collection, found));
        Ok(Response::new(pb::GetDocumentResponse { document, data }))
    }

    async fn list(
        &self,
        request: Request<pb::ListDocumentsRequest>,
    ) -> Result<Response<pb::ListDocumentsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let request = request.get_ref();
        let mut faults = Faults::default();
        let size = faults.page_size(request.page_size) as usize;
        let collection = faults.collection("collection", &request.collection);
        let collection = faults.check(collection)?;
        let bound = [caller.tenant.as_str(), "documents", collection.as_str()];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        let (memory, tenant) = (&self.calls.memory, &caller.tenant);
        let page = memory.list_documents(tenant, &collection, after.as_deref(), size).await?;
        let next_page_token = self.calls.pages.issue(&bound, page.next());
        let documents = page.items.into_iter().map(|found| render::document(&collection, found));
        let documents = documents.collect();
        Ok(Response::new(pb::ListDocumentsResponse { documents, next_page_token }))
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteDocumentRequest>,
    ) -> Result<Response<pb::DeleteDocumentResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let request = request.get_ref();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let spot = spot(&mut faults, &caller.tenant, &request.collection, &request.document_id);
        let spot = faults.check(spot)?;
        let answered = self.calls.memory.delete_document(&spot, id).await?;
        let Answer::DocumentDeleted { chunks, at } = answered.answer else {
            return Err(other_verb());
        };
        let message = pb::DeleteDocumentResponse {
            collection: spot.collection.to_string(),
            document_id: spot.document.to_string(),
            chunks_erased: chunks,
            delete_time: Some(crate::api::render::time(at)),
            erasure: Some(crate::api::render::erasure(self.calls.memory.receipt(at))),
        };
        Ok(answer(message, answered.replayed))
    }

    async fn collections(
        &self,
        request: Request<pb::ListCollectionsRequest>,
    ) -> Result<Response<pb::ListCollectionsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let request = request.get_ref();
        let mut faults = Faults::default();
        if request.page_size > COLLECTIONS_PAGE_MAX {
            faults.add("page_size", format!("must be at most {COLLECTIONS_PAGE_MAX}"));
        }
        faults.check(Some(()))?;
        let size = if request.page_size == 0 { COLLECTIONS_PAGE_MAX } else { request.page_size };
        let bound = [caller.tenant.as_str(), "collections"];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        let (memory, tenant) = (&self.calls.memory, &caller.tenant);
        let page = memory.list_collections(tenant, after.as_deref(), size as usize).await?;
        let next_page_token = self.calls.pages.issue(&bound, page.next());
        let collections = page.items.into_iter().map(render::collection).collect();
        Ok(Response::new(pb::ListCollectionsResponse { collections, next_page_token }))
    }

    async fn delete_all(
        &self,
        request: Request<pb::DeleteCollectionRequest>,
    ) -> Result<Response<pb::DeleteCollectionResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let request = request.get_ref();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let collection = faults.collection("collection", &request.collection);
        let collection = faults.check(collection)?;
        let memory = &self.calls.memory;
        let answered = memory.delete_collection(&caller.tenant, &collection, id).await?;
        let Answer::CollectionDeleted { at } = answered.answer else { return Err(other_verb()) };
        let message = pb::DeleteCollectionResponse {
            collection: collection.to_string(),
            delete_time: Some(crate::api::render::time(at)),
            erasure: Some(crate::api::render::erasure(self.calls.memory.receipt(at))),
        };
        Ok(answer(message, answered.replayed))
    }
}

fn other_verb() -> Failure {
    Failure::new(Reason::Internal, "a repeat row of another verb")
}

/// The answers on a stream of documents.
type Answers = Pin<Box<dyn Stream<Item = Result<pb::IngestDocumentsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl DocumentService for DocumentApi {
    type IngestDocumentsStream = Answers;

    async fn ingest_documents(
        &self,
        request: Request<Streaming<pb::IngestDocumentsRequest>>,
    ) -> Result<Response<Self::IngestDocumentsStream>, Status> {
        // The layer before this one has let it in; who calls is asked again with each document.
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await.map_err(refused)?;
        let (metadata, _, messages) = request.into_parts();
        let (calls, admission) = (self.calls.clone(), self.admission.clone());
        let ingest = stream::Ingest::new(calls, admission, caller, metadata, messages);
        Ok(Response::new(Box::pin(ingest.answers())))
    }

    async fn get_ingest_status(
        &self,
        request: Request<pb::GetIngestStatusRequest>,
    ) -> Result<Response<pb::GetIngestStatusResponse>, Status> {
        self.status(request).await.map_err(refused)
    }

    async fn get_document(
        &self,
        request: Request<pb::GetDocumentRequest>,
    ) -> Result<Response<pb::GetDocumentResponse>, Status> {
        self.get(request).await.map_err(refused)
    }

    async fn list_documents(
        &self,
        request: Request<pb::ListDocumentsRequest>,
    ) -> Result<Response<pb::ListDocumentsResponse>, Status> {
        self.list(request).await.map_err(refused)
    }

    async fn delete_document(
        &self,
        request: Request<pb::DeleteDocumentRequest>,
    ) -> Result<Response<pb::DeleteDocumentResponse>, Status> {
        self.delete(request).await.map_err(refused)
    }

    async fn list_collections(
        &self,
        request: Request<pb::ListCollectionsRequest>,
    ) -> Result<Response<pb::ListCollectionsResponse>, Status> {
        self.collections(request).await.map_err(refused)
    }

    async fn delete_collection(
        &self,
        request: Request<pb::DeleteCollectionRequest>,
    ) -> Result<Response<pb::DeleteCollectionResponse>, Status> {
        self.delete_all(request).await.map_err(refused)
    }
}
