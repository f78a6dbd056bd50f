//! Reads documents whose formats are too rich to be read in this process: PDF.
//! In: bytes. Out: their text, page by page, or why there is none.
//! Invariant: whatever the bytes are, they are read in a process of its own that may take so much
//! memory, time and output and no more; when it breaks, only it does.

mod child;

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::chunks::{Extract, Heading};
pub use child::{Allowance, read_pdf};
use child::{Answer, Fault};

/// What a process that reads a document may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PdfLimits {
    /// The longest time that the document may take, waiting included.
    pub time: Duration,
    /// The longest time of a processor, in seconds.
    pub cpu_seconds: u64,
    /// The most address space, in bytes.
    pub memory_bytes: u64,
    /// The most text, in bytes.
    pub text_bytes: u64,
}

impl PdfLimits {
    /// What a document gets when nothing else is said. A page takes about a millisecond, and a
    /// document some ten times its size.
    pub const DEFAULT: Self = Self {
        time: Duration::from_secs(30),
        cpu_seconds: 30,
        memory_bytes: 1 << 30,
        text_bytes: 64 << 20,
    };
}

/// Why a PDF has no text.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// The process that would read it cannot be started: not the document's fault.
    #[error("the process that reads a PDF cannot be started")]
    Start(#[source] std::io::Error),
    /// It is no PDF, or one that is damaged.
    #[error("the bytes are no PDF that can be read: {why}")]
    Malformed {
        /// What is wrong, without content.
        why: String,
    },
    /// It is encrypted.
    #[error("the PDF can be read with a password only")]
    Password,
    /// It takes too long.
    #[error("reading the PDF takes longer than {seconds} s")]
    TooSlow {
        /// How long it may take.
        seconds: u64,
    },
    /// Its text is too long.
    #[error("the text of the PDF has more than {bytes} bytes")]
    TooLong {
        /// How long it may be.
        bytes: u64,
    },
    /// What reads it broke: it wanted more memory than there is, or was led astray.
    #[error("reading the PDF broke the process that does it ({how}): the document is damaged, or \
             would take more than {} MiB of memory", memory_bytes >> 20)]
    Broke {
        /// How the process ended.
        how: ExitStatus,
        /// How much memory it might take.
        memory_bytes: u64,
    },
}

impl PdfError {
    /// Whether it is the document that cannot be read, so that trying again is in vain.
    pub fn is_of_the_document(&self) -> bool {
        !matches!(self, Self::Start(_))
    }
}

/// Reads the text of a PDF in a process of its own: `program`, which is this one, is started as
/// `program read-pdf`. Each page that has text stands under a heading of level 1, `Page N`.
///
/// A caller that stops waiting ends the process.
///
/// # Errors
/// [`PdfError`] when the process cannot be started or the document cannot be read within `limits`.
pub async fn pdf(program: &Path, bytes: Vec<u8>, limits: PdfLimits) -> Result<Extract, PdfError> {
    let mut child = Command::new(program)
        .arg("read-pdf")
        .args(["--memory-bytes", &limits.memory_bytes.to_string()])
        .args(["--cpu-seconds", &limits.cpu_seconds.to_string()])
        .env_clear()
        // Address space that the allocator only reserves would count against the limit.
        .env("MIMALLOC_ARENA_RESERVE", "0")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(PdfError::Start)?;
    let slow = PdfError::TooSlow { seconds: limits.time.as_secs() };
    let told = tokio::time::timeout(limits.time, tell(&mut child, &bytes, limits)).await;
    let told = told.unwrap_or(Err(slow));
    if told.is_err() {
        // It may have ended by itself.
        let _ = child.kill().await;
    }
    extract_of(&told?)
}

/// Gives a process its bytes and takes what it says.
async fn tell(child: &mut Child, bytes: &[u8], limits: PdfLimits) -> Result<Vec<u8>, PdfError> {
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = child.stdout.take().expect("it is piped").take(limits.text_bytes + 1);
    let give = async move {
        // A process that reads no further says why.
        let _ = stdin.write_all(bytes).await;
    };
    let mut answer = Vec::new();
    let (taken, ()) = tokio::join!(stdout.read_to_end(&mut answer), give);
    taken.map_err(PdfError::Start)?;
    if answer.len() as u64 > limits.text_bytes {
        return Err(PdfError::TooLong { bytes: limits.text_bytes });
    }
    let how = child.wait().await.map_err(PdfError::Start)?;
    if how.success() {
        return Ok(answer);
    }
    Err(match ended_for_time(how) {
        true => PdfError::TooSlow { seconds: limits.cpu_seconds },
        false => PdfError::Broke { how, memory_bytes: limits.memory_bytes },
    })
}

fn ended_for_time(how: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    how.signal() == Some(rustix::process::Signal::XCPU.as_raw())
}

fn extract_of(answer: &[u8]) -> Result<Extract, PdfError> {
    let garbled = |_| PdfError::Malformed { why: "its reader was led astray".to_owned() };
    let pages = match serde_json::from_slice(answer).map_err(garbled)? {
        Answer::Pages(pages) => pages,
        Answer::Fault(Fault::Password) => return Err(PdfError::Password),
        Answer::Fault(Fault::Malformed { why }) => return Err(PdfError::Malformed { why }),
    };
    let mut extract = Extract::default();
    for (page, number) in pages.iter().map(|page| page.trim()).zip(1..) {
        if page.is_empty() {
            continue;
        }
        if !extract.text.is_empty() {
            extract.text.push_str("\n\n");
        }
        let at = extract.text.len();
        extract.headings.push(Heading { at, level: 1, text: format!("Page {number}") });
        extract.text.push_str(page);
    }
    Ok(extract)
}
