//! Starts models of fastembed's, as the settings say.

use crate::app::embedding::threads;
use crate::config::{FastEmbedSettings, PoolingSetting, Settings};
use crate::embed::{
    EmbedError,
    fastembed::{FastEmbed, FastEmbedOptions, FastEmbedPooling},
};
use crate::onnx::Place;
use crate::rerank::{
    RerankError,
    fastembed::{FastRerank, FastRerankOptions},
};

/// The variable that tells all tools of the hub where it is.
const HUB: &str = "HF_ENDPOINT";
/// The folder of models, in the data folder.
const MODELS_FOLDER: &str = "models";

/// Starts an embedder by the name of its model, with so many threads for turns.
pub(super) fn start(
    settings: &Settings,
    name: &str,
    threads: usize,
) -> Result<FastEmbed, EmbedError> {
    let FastEmbedSettings { pooling, tokens_max, query_prefix, passage_prefix, languages } =
        settings.embedding.fastembed.clone();
    let pooling = pooling.map(|pooling| match pooling {
        PoolingSetting::Mean => FastEmbedPooling::Mean,
        PoolingSetting::Cls => FastEmbedPooling::Cls,
    });
    FastEmbed::start(&FastEmbedOptions {
        model: name.to_owned(),
        place: place(settings),
        pooling,
        tokens_max,
        query_prefix,
        passage_prefix,
        languages,
        threads,
    })
}

/// Starts a reranker by the name of its model, with as many threads as turns are embedded by.
pub(super) fn start_reranker(settings: &Settings, name: &str) -> Result<FastRerank, RerankError> {
    FastRerank::start(&FastRerankOptions {
        model: name.to_owned(),
        place: place(settings),
        tokens_max: None,
        threads: threads(settings),
    })
}

/// Where ONNX Runtime and its models are.
fn place(settings: &Settings) -> Place {
    let onnx = settings.onnx.clone();
    let models = onnx.models.unwrap_or_else(|| settings.data.join(MODELS_FOLDER));
    let hub = std::env::var(HUB).ok().filter(|address| !address.is_empty());
    Place { library: onnx.library, offline: onnx.offline, hub, ..Place::new(models) }
}
