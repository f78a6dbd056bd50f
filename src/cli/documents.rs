//! `keepsake documents`: lists, shows and deletes documents and their collections.

use clap::{Subcommand, ValueEnum};
use uuid::Uuid;

use crate::cli::{Client, Error, Output, output::write_bytes, wire::show_time};
use crate::proto::v1;

/// The commands of `keepsake documents`.
#[derive(Debug, Subcommand)]
pub enum DocumentsCommand {
    /// List the documents of a collection; without one, the collections.
    List {
        /// The collection.
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
        /// How many at the most, 1 to 1,000 (of collections 100).
        #[arg(long, default_value_t = 100, value_name = "N")]
        page_size: u32,
        /// From the page before.
        #[arg(long, default_value = "", value_name = "TOKEN")]
        page_token: String,
    },
    /// Show a document, or write its bytes or its text to stdout.
    Show {
        /// The document's id.
        document: String,
        /// Its collection.
        #[arg(long, value_name = "NAME")]
        collection: String,
        /// What to write in place of its description.
        #[arg(long, value_enum)]
        content: Option<Content>,
    },
    /// Erase a document, or with --all a whole collection.
    Delete {
        /// The document's id.
        #[arg(required_unless_present = "all")]
        document: Option<String>,
        /// The collection.
        #[arg(long, value_name = "NAME")]
        collection: String,
        /// Erase the collection with all its documents.
        #[arg(long, conflicts_with = "document")]
        all: bool,
    },
}

/// What of a document to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Content {
    /// Its bytes, as they were sent.
    Bytes,
    /// Its text, which citations name places in.
    Text,
}

/// Runs a command.
pub(super) async fn run(
    command: DocumentsCommand,
    client: Client,
    output: Output,
) -> Result<(), Error> {
    match command {
        DocumentsCommand::List { collection: Some(collection), page_size, page_token } => {
            let request = v1::ListDocumentsRequest { collection, page_size, page_token };
            list(request, client, output).await
        }
        DocumentsCommand::List { collection: None, page_size, page_token } => {
            let page_size = page_size.min(100);
            let request = v1::ListCollectionsRequest { page_size, page_token };
            collections(request, client, output).await
        }
        DocumentsCommand::Show { document, collection, content } => match content {
            None => show(collection, document, client, output).await,
            Some(content) => write(collection, document, content, client).await,
        },
        DocumentsCommand::Delete { document, collection, .. } => {
            delete(collection, document, client, output).await
        }
    }
}

async fn list(
    request: v1::ListDocumentsRequest,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let answer = client.documents.list_documents(request).await?.into_inner();
    output.answer("keepsake.v1.ListDocumentsResponse", &answer, |paint| {
        let mut text = String::new();
        for document in &answer.documents {
            text.push_str(&format!(
                "{}  {}  {} bytes  {} chunks, {} embedded  {}\n",
                paint.bold(&document.document_id),
                document.media_type,
                document.bytes,
                document.chunks,
                document.chunks_embedded,
                paint.dim(&show_time(document.ingest_time.as_ref())),
            ));
        }
        if answer.documents.is_empty() {
            text.push_str("no documents\n");
        }
        text.push_str(&next_page(&answer.next_page_token));
        text
    })
}

async fn collections(
    request: v1::ListCollectionsRequest,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let answer = client.documents.list_collections(request).await?.into_inner();
    output.answer("keepsake.v1.ListCollectionsResponse", &answer, |paint| {
        let mut text = String::new();
        for found in &answer.collections {
            text.push_str(&format!(
                "{}  {} documents  {} bytes  {} chunks, {} embedded\n",
                paint.bold(&found.collection),
                found.documents,
                found.bytes,
                found.chunks,
                found.chunks_embedded,
            ));
        }
        if answer.collections.is_empty() {
            text.push_str("no collections\n");
        }
        text.push_str(&next_page(&answer.next_page_token));
        text
    })
}

fn next_page(token: &str) -> String {
    if token.is_empty() { String::new() } else { format!("more: --page-token {token}\n") }
}

async fn show(
    collection: String,
    document_id: String,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let request = v1::GetDocumentRequest { collection, document_id, ..Default::default() };
    let answer = client.documents.get_document(request).await?.into_inner();
    output.answer("keepsake.v1.GetDocumentResponse", &answer, |paint| {
        let Some(document) = &answer.document else { return String::new() };
        let mut text = format!("{}  {}\n", paint.bold(&document.document_id), document.title);
        text.push_str(&format!(
            "{}, {} bytes, {} of text, came {}\n\
             {} chunks of at most {} tokens, {} tokens, {} embedded\n",
            document.media_type,
            document.bytes,
            document.text_bytes,
            show_time(document.ingest_time.as_ref()),
            document.chunks,
            document.chunking.as_ref().map_or(0, |chunking| chunking.tokens_max),
            document.tokens,
            document.chunks_embedded,
        ));
        for (key, value) in &document.metadata {
            text.push_str(&format!("{key} = {value}\n"));
        }
        text
    })
}

/// Writes a document to stdout, some at a time.
async fn write(
    collection: String,
    document_id: String,
    content: Content,
    mut client: Client,
) -> Result<(), Error> {
    let view = match content {
        Content::Bytes => v1::DocumentView::Bytes,
        Content::Text => v1::DocumentView::Text,
    };
    let mut offset = 0;
    loop {
        let request = v1::GetDocumentRequest {
            collection: collection.clone(),
            document_id: document_id.clone(),
            view: view.into(),
            offset,
            bytes: 0,
        };
        let answer = client.documents.get_document(request).await?.into_inner();
        if answer.data.is_empty() {
            return Ok(());
        }
        offset += answer.data.len() as u64;
        write_bytes(&answer.data)?;
    }
}

async fn delete(
    collection: String,
    document: Option<String>,
    mut client: Client,
    output: Output,
) -> Result<(), Error> {
    let request_id = Uuid::new_v4().to_string();
    let Some(document_id) = document else {
        let request = v1::DeleteCollectionRequest { collection, request_id };
        let answer = client.documents.delete_collection(request).await?.into_inner();
        return output.answer("keepsake.v1.DeleteCollectionResponse", &answer, |_| {
            format!("{}: erased\n", answer.collection)
        });
    };
    let request = v1::DeleteDocumentRequest { collection, document_id, request_id };
    let answer = client.documents.delete_document(request).await?.into_inner();
    output.answer("keepsake.v1.DeleteDocumentResponse", &answer, |_| {
        format!("{}: {} chunks erased\n", answer.document_id, answer.chunks_erased)
    })
}
