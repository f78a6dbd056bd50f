//! What a name means: a model of the zoo, or a folder; and what its authors say of it.

use std::path::PathBuf;

use fastembed::{EmbeddingModel, OutputKey, Pooling, QuantizationMode, TextEmbedding};

use crate::embed::{EmbedError, fastembed::FastEmbedOptions};
use crate::onnx::{Entry, Model};

const SEARCH: &str = "Represent this sentence for searching relevant passages: ";
const SEARCH_CHINESE: &str = "为这个句子生成表示以用于检索相关文章：";

/// A model, and how it is run.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its name, for people.
    pub(super) name: String,
    pub(super) model: Model,
    pub(super) pooling: Pooling,
    pub(super) quantization: QuantizationMode,
    pub(super) output_key: Option<OutputKey>,
    /// How many numbers a vector should have, where that is known before it is tried.
    pub(super) dimensions: Option<usize>,
    pub(super) query_prefix: String,
    pub(super) passage_prefix: String,
    pub(super) languages: Vec<String>,
}

impl Wanted {
    /// Takes the name apart; what the options say goes before what the zoo does.
    ///
    /// # Errors
    /// [`EmbedError::Model`]: the zoo has no such model.
    pub(super) fn of(options: &FastEmbedOptions) -> Result<Self, EmbedError> {
        let known = match Model::of_folder(&options.model) {
            Some(path) => folder(path),
            None => zoo(&options.model)?,
        };
        let told = options.clone();
        Ok(Self {
            pooling: told.pooling.map_or(known.pooling, Pooling::from),
            query_prefix: told.query_prefix.unwrap_or(known.query_prefix),
            passage_prefix: told.passage_prefix.unwrap_or(known.passage_prefix),
            languages: told.languages.unwrap_or(known.languages),
            ..known
        })
    }

    /// Whether a text changes the vectors of those that it goes with.
    pub(super) fn goes_alone(&self) -> bool {
        self.quantization == QuantizationMode::Dynamic
    }
}

fn folder(path: PathBuf) -> Wanted {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Wanted {
        name,
        model: Model::Folder(path),
        pooling: Pooling::Mean,
        quantization: QuantizationMode::None,
        output_key: None,
        dimensions: None,
        query_prefix: String::new(),
        passage_prefix: String::new(),
        languages: vec!["en".to_owned()],
    }
}

fn zoo(name: &str) -> Result<Wanted, EmbedError> {
    let models = TextEmbedding::list_supported_models();
    let entries = models.iter().map(|info| Entry {
        name: info.model.to_string(),
        repository: info.model_code.clone(),
        file: info.model_file.clone(),
        external: info.additional_files.clone(),
    });
    let entries: Vec<Entry> = entries.collect();
    let at = Entry::find(&entries, name)?;
    let (info, entry) = (&models[at], &entries[at]);
    let (query, passage) = prefixes(&info.model);
    Ok(Wanted {
        name: entry.name.clone(),
        model: entry.model(),
        pooling: TextEmbedding::get_default_pooling_method(&info.model).unwrap_or_default(),
        quantization: TextEmbedding::get_quantization_mode(&info.model),
        output_key: info.output_key.clone(),
        dimensions: Some(info.dim),
        query_prefix: query.to_owned(),
        passage_prefix: passage.to_owned(),
        languages: languages(&info.model).iter().map(|code| (*code).to_owned()).collect(),
    })
}

/// What the authors of a model put before questions, and before what is searched.
fn prefixes(model: &EmbeddingModel) -> (&'static str, &'static str) {
    use EmbeddingModel as M;
    match model {
        M::MultilingualE5Small | M::MultilingualE5Base | M::MultilingualE5Large => {
            ("query: ", "passage: ")
        }
        M::BGESmallENV15
        | M::BGESmallENV15Q
        | M::BGEBaseENV15
        | M::BGEBaseENV15Q
        | M::BGELargeENV15
        | M::BGELargeENV15Q
        | M::MxbaiEmbedLargeV1
        | M::MxbaiEmbedLargeV1Q
        | M::SnowflakeArcticEmbedXS
        | M::SnowflakeArcticEmbedXSQ
        | M::SnowflakeArcticEmbedS
        | M::SnowflakeArcticEmbedSQ
        | M::SnowflakeArcticEmbedM
        | M::SnowflakeArcticEmbedMQ
        | M::SnowflakeArcticEmbedMLong
        | M::SnowflakeArcticEmbedMLongQ
        | M::SnowflakeArcticEmbedL
        | M::SnowflakeArcticEmbedLQ => (SEARCH, ""),
        M::BGESmallZHV15 | M::BGELargeZHV15 => (SEARCH_CHINESE, ""),
        M::NomicEmbedTextV1
        | M::NomicEmbedTextV15
        | M::NomicEmbedTextV15Q
        | M::ModernBertEmbedLarge => ("search_query: ", "search_document: "),
        M::EmbeddingGemma300M | M::EmbeddingGemma300MQ | M::EmbeddingGemma300MQ4 => {
            ("task: search result | query: ", "title: none | text: ")
        }
        _ => ("", ""),
    }
}

/// The languages that a model was trained on: English where its authors name no other.
fn languages(model: &EmbeddingModel) -> &'static [&'static str] {
    use EmbeddingModel as M;
    match model {
        M::MultilingualE5Small
        | M::MultilingualE5Base
        | M::MultilingualE5Large
        | M::ParaphraseMLMiniLML12V2
        | M::ParaphraseMLMiniLML12V2Q
        | M::ParaphraseMLMpnetBaseV2
        | M::BGEM3
        | M::EmbeddingGemma300M
        | M::EmbeddingGemma300MQ
        | M::EmbeddingGemma300MQ4 => &["*"],
        M::BGESmallZHV15 | M::BGELargeZHV15 => &["zh"],
        _ => &["en"],
    }
}

#[cfg(test)]
mod tests;
