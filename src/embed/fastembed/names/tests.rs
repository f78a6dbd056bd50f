//! Which names are understood, and what goes with them.

use std::path::PathBuf;

use fastembed::TextEmbedding;

use crate::embed::fastembed::{FastEmbedOptions, names::Wanted};
use crate::onnx::{Model, Place};

fn options(model: &str) -> FastEmbedOptions {
    FastEmbedOptions::new(model, Place::new(PathBuf::new()))
}

#[track_caller]
fn check(model: &str, expected: &str) {
    let told = match Wanted::of(&options(model)) {
        Ok(wanted) => {
            let place = match wanted.model {
                Model::Folder(path) => path.display().to_string(),
                Model::Hub { repository, file, .. } => format!("{repository}/{file}"),
            };
            format!("{} {place}", wanted.name)
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(told, expected);
}

#[test]
fn a_name_a_repository_and_a_folder_are_told_apart() {
    check("AllMiniLML6V2", "AllMiniLML6V2 Qdrant/all-MiniLM-L6-v2-onnx/model.onnx");
    check("allminilml6v2", "AllMiniLML6V2 Qdrant/all-MiniLM-L6-v2-onnx/model.onnx");
    check(
        "intfloat/multilingual-e5-small",
        "MultilingualE5Small intfloat/multilingual-e5-small/onnx/model.onnx",
    );
    check("/srv/models/mine", "mine /srv/models/mine");
    check("./mine", "mine ./mine");
    check(
        "AllMiniLM",
        "cannot load the model: there is no model `AllMiniLM`; is `AllMiniLML6V2` meant? (the path \
         of a folder begins with `/` or `.`)",
    );
}

#[test]
fn of_a_repository_with_several_models_the_one_that_is_not_quantised_is_taken() {
    check("Xenova/all-MiniLM-L12-v2", "AllMiniLML12V2 Xenova/all-MiniLM-L12-v2/onnx/model.onnx");
    check(
        "nomic-ai/nomic-embed-text-v1.5",
        "NomicEmbedTextV15 nomic-ai/nomic-embed-text-v1.5/onnx/model.onnx",
    );
}

#[test]
fn every_model_of_the_zoo_is_found_by_its_name_and_its_repository() {
    for info in TextEmbedding::list_supported_models() {
        let hub = |name: &str| match Wanted::of(&options(name)).unwrap().model {
            Model::Hub { repository, file, external } => (repository, file, external),
            Model::Folder(path) => panic!("{name} is {}", path.display()),
        };
        let (repository, file, external) = hub(&info.model.to_string());
        assert_eq!(repository, info.model_code);
        assert_eq!((file, external), (info.model_file, info.additional_files));
        assert_eq!(hub(&info.model_code).0, info.model_code);
    }
}

#[test]
fn what_the_authors_put_before_texts_is_put_there_unless_another_is_told() {
    let told = |options: &FastEmbedOptions| {
        let wanted = Wanted::of(options).unwrap();
        (wanted.query_prefix, wanted.passage_prefix, wanted.languages.join(","))
    };
    let pair = |query: &str, passage: &str, languages: &str| {
        (query.to_owned(), passage.to_owned(), languages.to_owned())
    };
    assert_eq!(told(&options("MultilingualE5Small")), pair("query: ", "passage: ", "*"));
    assert_eq!(told(&options("AllMiniLML6V2")), pair("", "", "en"));
    let (query, passage, _) = told(&options("BGESmallENV15"));
    assert_eq!(query, "Represent this sentence for searching relevant passages: ");
    assert_eq!(passage, "");
    let mut mine = options("/mine");
    assert_eq!(told(&mine), pair("", "", "en"));
    mine.query_prefix = Some("q: ".to_owned());
    mine.passage_prefix = Some("p: ".to_owned());
    mine.languages = Some(vec!["de".to_owned(), "fr".to_owned()]);
    assert_eq!(told(&mine), pair("q: ", "p: ", "de,fr"));
}
