//! Models of fastembed's zoo, or of a folder, run by ONNX Runtime, which is loaded when the server
//! starts. Everything is read, fetched and tried at the start; nothing is loaded for a call.

mod names;

use std::thread;

use async_trait::async_trait;
use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, UserDefinedEmbeddingModel};
use ort::environment::Environment;
use ort::session::builder::AutoDevicePolicy;

use crate::embed::{
    EmbedError, Embedder, Urgency, refuse_strange,
    threads::{Batch, Batched, Threads, give_way},
};
use crate::onnx::{Files, OnnxError, Place, environment};

use names::Wanted;

/// What of the turns that wait goes through a model at once: some 1,000 tokens with their padding.
/// More gains nothing on processors, and a stop waits for it.
const BATCH: Batch = Batch { texts: 16, bytes: 4_096 };
/// A text is cut at so many bytes for each token that counts before it is taken apart, which takes
/// time by all of its length: tokens are shorter by far, but for words that nobody writes.
const TOKEN_BYTES: usize = 64;

/// Which model is wanted, and how it is run.
#[derive(Debug, Clone)]
pub struct FastEmbedOptions {
    /// A name of the zoo (`AllMiniLML6V2`), a repository of the zoo, or the path of a folder, which
    /// begins with `/` or `.`.
    pub model: String,
    /// Where ONNX Runtime and models are.
    pub place: Place,
    /// How vectors of tokens become one; `None`: as the zoo says, and their mean for a folder.
    pub pooling: Option<FastEmbedPooling>,
    /// How many tokens of a text count; `None`: what the model takes, 512 at most.
    pub tokens_max: Option<usize>,
    /// What is put before questions; `None`: as the model's authors say, nothing for a folder.
    pub query_prefix: Option<String>,
    /// What is put before turns and passages; as above.
    pub passage_prefix: Option<String>,
    /// The languages that it knows, by ISO 639-1 codes, `*` for all; `None`: as its authors say,
    /// and English for a folder.
    pub languages: Option<Vec<String>>,
    /// How many threads work on turns, at least one.
    pub threads: usize,
}

impl FastEmbedOptions {
    /// A model with what its authors say.
    pub fn new(model: &str, place: Place) -> Self {
        Self {
            model: model.to_owned(),
            place,
            pooling: None,
            tokens_max: None,
            query_prefix: None,
            passage_prefix: None,
            languages: None,
            threads: 1,
        }
    }
}

/// How the vectors of tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FastEmbedPooling {
    /// Their mean.
    Mean,
    /// The first one.
    Cls,
}

impl From<FastEmbedPooling> for Pooling {
    fn from(pooling: FastEmbedPooling) -> Self {
        match pooling {
            FastEmbedPooling::Mean => Self::Mean,
            FastEmbedPooling::Cls => Self::Cls,
        }
    }
}

/// A model of fastembed's. Questions have a copy of the model and a thread of their own, so that
/// none waits behind turns; turns that wait go through theirs together, whoever asked.
pub struct FastEmbed {
    key: String,
    dimensions: usize,
    bytes_max: usize,
    languages: Vec<String>,
    query_prefix: String,
    passage_prefix: String,
    threads: Threads,
}

impl FastEmbed {
    /// Finds the model, fetches what is missing of one of the zoo, loads it twice, and tries it. It
    /// takes as long as the download does; a hub that is silent is given up.
    ///
    /// # Errors
    /// [`EmbedError::Model`], which says what is missing and what to do.
    pub fn start(options: &FastEmbedOptions) -> Result<Self, EmbedError> {
        let wanted = Wanted::of(options)?;
        let environment = environment(options.place.library.as_deref())?;
        let files = Files::find(&wanted.model, &options.place)?;
        let tokens = files.tokens_max(options.tokens_max);
        let key = key(&wanted, &files, tokens)?;
        let source = Source { wanted: &wanted, files: &files, environment: &environment, tokens };
        let mut query = source.load(1)?;
        let dimensions = tried(&mut query, &wanted)?;
        let mut models = [Some(source.load_giving_way(options.threads.max(1))?), Some(query)];
        let batch = if wanted.goes_alone() { Batch::ONE } else { BATCH };
        let threads = Threads::start(1, batch, |urgency| {
            let model = &mut models[usize::from(urgency == Urgency::Query)];
            let mut model = model.take().expect("there is one of each");
            move |texts: &[String]| embed(&mut model, texts, dimensions)
        })?;
        let Wanted { languages, query_prefix, passage_prefix, .. } = wanted;
        let bytes_max = tokens * TOKEN_BYTES;
        Ok(Self { key, dimensions, bytes_max, languages, query_prefix, passage_prefix, threads })
    }
}

/// Names the model by its files and by all that changes its vectors.
fn key(wanted: &Wanted, files: &Files, tokens: usize) -> Result<String, EmbedError> {
    let settings = (&wanted.pooling, &wanted.query_prefix, &wanted.passage_prefix, tokens);
    Ok(files.key(&wanted.name, &format!("{settings:?}"))?)
}

/// What copies of a model are made from.
struct Source<'a> {
    wanted: &'a Wanted,
    files: &'a Files,
    environment: &'a Environment,
    tokens: usize,
}

impl Source<'_> {
    /// A copy, with threads of ONNX Runtime's own when there are more than one.
    fn load(&self, threads: usize) -> Result<TextEmbedding, EmbedError> {
        let Self { wanted, files, .. } = self;
        let mut model =
            UserDefinedEmbeddingModel::new(files.read_model()?, files.tokenizer.clone())
                .with_pooling(wanted.pooling.clone())
                .with_quantization(wanted.quantization);
        model.output_key = wanted.output_key.clone();
        for (name, bytes) in files.read_external()? {
            model = model.with_external_initializer(name, bytes);
        }
        let options = InitOptionsUserDefined::new()
            .with_environment(self.environment.clone())
            .with_auto_device(AutoDevicePolicy::PreferCPU)
            .with_max_length(self.tokens)
            .with_intra_threads(threads)
            // Threads that wait for work do not spin: others need the cores.
            .with_session_config("session.intra_op.allow_spinning", "0");
        TextEmbedding::try_new_from_user_defined(model, options)
            .map_err(|error| refused(&wanted.name, &error.to_string()))
    }

    /// A copy for turns: its threads inherit how nice they are from the one that loads it.
    fn load_giving_way(&self, threads: usize) -> Result<TextEmbedding, EmbedError> {
        thread::scope(|scope| {
            let loading = scope.spawn(|| {
                give_way();
                self.load(threads)
            });
            loading.join().unwrap_or_else(|_| Err(refused(&self.wanted.name, "loading panicked")))
        })
    }
}

impl From<OnnxError> for EmbedError {
    fn from(error: OnnxError) -> Self {
        Self::Model { why: error.to_string() }
    }
}

/// Embeds a word, and says how many numbers its vector has: what the zoo says is not relied on.
fn tried(model: &mut TextEmbedding, wanted: &Wanted) -> Result<usize, EmbedError> {
    let vectors = model.embed(["a word"], None);
    let vectors = vectors.map_err(|error| refused(&wanted.name, &error.to_string()))?;
    let found = vectors.first().map_or(0, Vec::len);
    match wanted.dimensions.unwrap_or(found) {
        0 => Err(refused(&wanted.name, "it gives no vectors")),
        dimensions if dimensions == found => Ok(found),
        dimensions => {
            let why = format!("its vectors have {found} numbers, and should have {dimensions}");
            Err(refused(&wanted.name, &why))
        }
    }
}

fn refused(name: &str, why: &str) -> EmbedError {
    EmbedError::Model { why: format!("`{name}`: {why}") }
}

/// The vectors of a batch.
fn embed(model: &mut TextEmbedding, texts: &[String], dimensions: usize) -> Batched {
    let failed = |why: String| EmbedError::Failed { why };
    let vectors = model.embed(texts, None).map_err(|error| failed(error.to_string()))?;
    if vectors.iter().any(|vector| vector.len() != dimensions) {
        return Err(failed("the model gave a vector of another length".to_owned()));
    }
    vectors.into_iter().map(refuse_strange).collect()
}

#[async_trait]
impl Embedder for FastEmbed {
    fn key(&self) -> &str {
        &self.key
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn covers(&self, language: &str) -> bool {
        self.languages.iter().any(|known| known == language || known == "*")
    }

    fn tells_questions_apart(&self) -> bool {
        self.query_prefix != self.passage_prefix
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let prefix = match urgency {
            Urgency::Query => &self.query_prefix,
            Urgency::Background => &self.passage_prefix,
        };
        let told = |text: String| match prefix.is_empty() && text.len() <= self.bytes_max {
            true => text,
            false => {
                let end = text.floor_char_boundary(self.bytes_max.min(text.len()));
                format!("{prefix}{}", &text[..end])
            }
        };
        self.threads.embed(urgency, texts.into_iter().map(told).collect()).await
    }
}
