//! The other process: limits itself, reads a document, says what is in it.

use std::io::{Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::read::ZlibDecoder;
use pdf_extract::{Document, Error, OutputError, PlainTextOutput, output_doc_page};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use serde::{Deserialize, Serialize};

/// How much it steps back behind the process that serves.
const NICE: i32 = 10;

/// The stack of what reads: a form inside of a form takes some 200 KB of it.
const STACK_BYTES: usize = 64 << 20;

/// No part of a document, pictures aside, unpacks to more than this: as much as a document may have
/// of text.
const UNPACKED_MAX: u64 = 64 << 20;
/// What deflate can pack, at the most.
const DEFLATE_RATIO: u64 = 1_032;

/// What a process that reads a document may take, of what the system itself limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most address space, in bytes.
    pub memory_bytes: u64,
    /// The longest time of a processor, in seconds.
    pub cpu_seconds: u64,
}

/// What is in a document.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// The text of each page.
    Pages(Vec<String>),
    /// Why there is none.
    Fault(Fault),
}

/// Why a document has no text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fault {
    Password,
    Malformed { why: String },
}

/// Reads a PDF from stdin and writes what is in it to stdout, as JSON: `{"pages": […]}`, or
/// `{"fault": …}`. For a process that does nothing else: it takes the limits on.
///
/// # Errors
/// When the limits cannot be set, or its own streams fail.
pub fn read_pdf(allowance: Allowance) -> std::io::Result<()> {
    // What breaks is told by the answer; a message would only tell content.
    std::panic::set_hook(Box::new(|_| {}));
    // Its stack is taken before memory is limited.
    let reader = std::thread::Builder::new().stack_size(STACK_BYTES);
    let reader = reader.spawn(move || {
        limit(allowance)?;
        answer()
    })?;
    reader.join().unwrap_or_else(|_| Err(std::io::Error::other("it broke")))
}

/// Reads what is on stdin and answers on stdout.
fn answer() -> std::io::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let answer = match catch_unwind(|| pages(&bytes)) {
        Ok(Ok(pages)) => Answer::Pages(pages),
        Ok(Err(fault)) => Answer::Fault(fault),
        Err(_) => Answer::Fault(malformed("its structure is damaged")),
    };
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, &answer)?;
    stdout.flush()
}

fn limit(allowance: Allowance) -> std::io::Result<()> {
    let limits = [
        (Resource::As, allowance.memory_bytes),
        (Resource::Cpu, allowance.cpu_seconds),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
    ];
    for (resource, most) in limits {
        // The first limit of processor time sends a signal that ends the process, the second kills.
        let maximum = if resource == Resource::Cpu { most + 1 } else { most };
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(maximum) })?;
    }
    // It is a courtesy: without it the document is read as well.
    let _ = nice(NICE);
    Ok(())
}

fn malformed(why: &str) -> Fault {
    Fault::Malformed { why: why.to_owned() }
}

fn pages(bytes: &[u8]) -> Result<Vec<String>, Fault> {
    let document = Document::load_mem(bytes);
    let mut document = document.map_err(|error| match error {
        Error::Decryption(_) => Fault::Password,
        _ => malformed("it has no readable structure"),
    })?;
    if document.is_encrypted() {
        document.decrypt("").map_err(|_| Fault::Password)?;
    }
    unpacks(&document)?;
    let numbers: Vec<u32> = document.get_pages().into_keys().collect();
    if numbers.is_empty() {
        return Err(malformed("it has no pages"));
    }
    numbers.into_iter().map(|number| page(&document, number)).collect()
}

/// Refuses what unpacks to too much: the library takes what memory there was for the whole, and
/// would leave the rest out in silence.
fn unpacks(document: &Document) -> Result<(), Fault> {
    let too_much = || malformed(&format!("it unpacks to more than {} MiB", UNPACKED_MAX >> 20));
    for stream in document.objects.values().filter_map(|object| object.as_stream().ok()) {
        let image = stream.dict.get(b"Subtype").and_then(|subtype| subtype.as_name());
        let filters = stream.filters().unwrap_or_default();
        let packed =
            filters.iter().filter(|name| [&b"FlateDecode"[..], b"LZWDecode"].contains(name));
        if image.is_ok_and(|name| name == b"Image") {
            continue;
        }
        if packed.count() > 1 {
            return Err(malformed("it is packed twice"));
        }
        let bytes = stream.content.len() as u64;
        if filters.first() == Some(&&b"FlateDecode"[..]) && bytes > UNPACKED_MAX / DEFLATE_RATIO {
            let unpacked = ZlibDecoder::new(&stream.content[..]).take(UNPACKED_MAX + 1);
            // One that is damaged unpacks as far as it does.
            let mut unpacked = std::io::BufReader::new(unpacked);
            let _ = std::io::copy(&mut unpacked, &mut std::io::sink());
            if unpacked.get_ref().limit() == 0 {
                return Err(too_much());
            }
        }
    }
    Ok(())
}

/// The text of a page. What lays the text out stops at fonts that it does not know; then the words
/// are taken as they come. No page is left out in silence.
fn page(document: &Document, number: u32) -> Result<String, Fault> {
    let laid_out = || -> Result<String, OutputError> {
        let mut text = String::new();
        output_doc_page(document, &mut PlainTextOutput::new(&mut text), number)?;
        Ok(text)
    };
    if let Ok(Ok(text)) = catch_unwind(AssertUnwindSafe(laid_out)) {
        return Ok(text);
    }
    let as_it_comes = catch_unwind(AssertUnwindSafe(|| document.extract_text(&[number])));
    match as_it_comes {
        Ok(Ok(text)) => Ok(text),
        _ => Err(malformed(&format!("page {number} cannot be read"))),
    }
}
