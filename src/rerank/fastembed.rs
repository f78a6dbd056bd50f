//! Cross-encoders of fastembed's zoo, or of a folder, run by ONNX Runtime. Everything is read,
//! fetched and tried at the start. Texts go through the model one by one, so that a score does not
//! depend on what else is asked, and a call that gives up stops what has not begun.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use fastembed::{RerankInitOptionsUserDefined, TextRerank, UserDefinedRerankingModel};
use ort::session::builder::AutoDevicePolicy;
use tokio::sync::oneshot;

use crate::onnx::{Entry, Files, Model, OnnxError, Place, environment};
use crate::rerank::{RerankError, Reranker, WAITING_MAX};

/// A text is cut at so many bytes for each token that counts before it is taken apart, which takes
/// time by all of its length.
const TOKEN_BYTES: usize = 64;

/// Which model is wanted, and how it is run.
#[derive(Debug, Clone)]
pub struct FastRerankOptions {
    /// A name of the zoo (`BGERerankerBase`), a repository of the zoo, or the path of a folder,
    /// which begins with `/` or `.`.
    pub model: String,
    /// Where ONNX Runtime and models are.
    pub place: Place,
    /// How many tokens of a question and a text together count; `None`: what the model takes, 512
    /// at most.
    pub tokens_max: Option<usize>,
    /// How many threads work on a text, at least one.
    pub threads: usize,
}

/// A text that waits, with its question, and where its score goes.
struct Waiting {
    question: String,
    text: String,
    answer: oneshot::Sender<Result<f32, RerankError>>,
}

/// A cross-encoder of fastembed's, on a thread of its own. Dropping it waits until the thread has
/// ended, which it does after the text that is going through the model.
pub struct FastRerank {
    key: String,
    bytes_max: usize,
    waiting: Option<SyncSender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for FastRerank {
    fn drop(&mut self) {
        // Whoever asked has gone with it: what waits is passed over.
        drop(self.waiting.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl FastRerank {
    /// Finds the model, fetches what is missing of one of the zoo, loads it, and tries it. It takes
    /// as long as the download does; a hub that is silent is given up.
    ///
    /// # Errors
    /// [`RerankError::Model`], which says what is missing and what to do.
    pub fn start(options: &FastRerankOptions) -> Result<Self, RerankError> {
        let (name, model) = named(&options.model)?;
        let environment = environment(options.place.library.as_deref())?;
        let files = Files::find(&model, &options.place)?;
        let tokens = files.tokens_max(options.tokens_max);
        let refused = |why: String| RerankError::Model { why: format!("`{name}`: {why}") };
        let own = RerankInitOptionsUserDefined::new()
            .with_environment(environment)
            .with_auto_device(AutoDevicePolicy::PreferCPU)
            .with_max_length(tokens)
            .with_intra_threads(options.threads.max(1))
            // Threads that wait for work do not spin: others need the cores.
            .with_session_config("session.intra_op.allow_spinning", "0");
        // By its path, so that weights of other files are found beside it.
        let source =
            UserDefinedRerankingModel::new(files.model().to_owned(), files.tokenizer.clone());
        let loaded = TextRerank::try_new_from_user_defined(source, own);
        let mut model = loaded.map_err(|error| refused(error.to_string()))?;
        score(&mut model, "a question", "a text").map_err(|error| refused(error.to_string()))?;
        let key = files.key(&name, &tokens.to_string())?;
        let (waiting, queue) = sync_channel(WAITING_MAX);
        let started = thread::Builder::new().name("rerank".to_owned());
        let started = started.spawn(move || run(&queue, &mut model));
        let thread = Some(started.map_err(|error| refused(error.to_string()))?);
        let (bytes_max, waiting) = (tokens * TOKEN_BYTES, Some(waiting));
        Ok(Self { key, bytes_max, waiting, thread })
    }

    fn cut(&self, text: &str) -> String {
        text[..text.floor_char_boundary(self.bytes_max.min(text.len()))].to_owned()
    }
}

/// What a name means, with a name for people.
fn named(name: &str) -> Result<(String, Model), RerankError> {
    if let Some(folder) = Model::of_folder(name) {
        let own = folder.file_name().unwrap_or(folder.as_os_str());
        return Ok((own.to_string_lossy().into_owned(), Model::Folder(folder)));
    }
    let entries = TextRerank::list_supported_models().into_iter().map(|info| Entry {
        name: format!("{:?}", info.model),
        repository: info.model_code,
        file: info.model_file,
        external: info.additional_files,
    });
    let entries: Vec<Entry> = entries.collect();
    let found = &entries[Entry::find(&entries, name)?];
    Ok((found.name.clone(), found.model()))
}

impl From<OnnxError> for RerankError {
    fn from(error: OnnxError) -> Self {
        Self::Model { why: error.to_string() }
    }
}

/// Scores what waits, until nobody can ask any more.
fn run(queue: &Receiver<Waiting>, model: &mut TextRerank) {
    for Waiting { question, text, answer } in queue {
        if answer.is_closed() {
            continue;
        }
        // A panic of the model is the failure of this text, not the end of the thread.
        let scored = catch_unwind(AssertUnwindSafe(|| score(model, &question, &text)));
        let failed = || RerankError::Failed { why: "the model panicked".to_owned() };
        // The caller may have gone away.
        let _ = answer.send(scored.unwrap_or_else(|_| Err(failed())));
    }
}

fn score(model: &mut TextRerank, question: &str, text: &str) -> Result<f32, RerankError> {
    let failed = |why: String| RerankError::Failed { why };
    let scored = model.rerank(question, [text], false, None);
    let scored = scored.map_err(|error| failed(error.to_string()))?;
    match scored.first().map(|scored| scored.score) {
        Some(score) if score.is_finite() => Ok(score),
        Some(_) => Err(failed("the model gave what is no number".to_owned())),
        None => Err(failed("the model gave nothing".to_owned())),
    }
}

#[async_trait]
impl Reranker for FastRerank {
    fn key(&self) -> &str {
        &self.key
    }

    async fn score(
        &self,
        question: &str,
        texts: &[String],
        scores: &mut Vec<f32>,
    ) -> Result<(), RerankError> {
        let question = self.cut(question);
        let mut answers = Vec::with_capacity(texts.len());
        let mut refused = None;
        let queue = self.waiting.as_ref().expect("it goes last");
        for text in texts {
            let (answer, scored) = oneshot::channel();
            let waiting = Waiting { question: question.clone(), text: self.cut(text), answer };
            match queue.try_send(waiting) {
                Ok(()) => answers.push(scored),
                Err(TrySendError::Full(_)) => {
                    refused = Some(RerankError::Busy);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => unreachable!("the thread goes last"),
            }
        }
        for scored in answers {
            let gone = |_| RerankError::Failed { why: "the reranker has ended".to_owned() };
            scores.push(scored.await.map_err(gone)??);
        }
        refused.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
