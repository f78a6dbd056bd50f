//! Which names are understood.

use crate::onnx::Model;
use crate::rerank::fastembed::named;

#[track_caller]
fn check(name: &str, expected: &str) {
    let told = match named(name) {
        Ok((name, Model::Folder(path))) => format!("{name} {}", path.display()),
        Ok((name, Model::Hub { repository, file, .. })) => {
            format!("{name} {repository}/{file}")
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(told, expected);
}

#[test]
fn a_name_a_repository_and_a_folder_are_told_apart() {
    check("bgererankerbase", "BGERerankerBase BAAI/bge-reranker-base/onnx/model.onnx");
    check(
        "jinaai/jina-reranker-v1-turbo-en",
        "JINARerankerV1TurboEn jinaai/jina-reranker-v1-turbo-en/onnx/model.onnx",
    );
    check("/srv/mine", "mine /srv/mine");
    check(
        "BGERerankerBas",
        "cannot load the reranker: there is no model `BGERerankerBas`; is `BGERerankerBase` \
         meant? (the path of a folder begins with `/` or `.`)",
    );
}
