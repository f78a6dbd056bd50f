//! What sled has deleted stays in its file; a copy of the folder is without it.

use keepsake::app::copy_folder;
use keepsake::config::Engine;
use keepsake::proto::v1 as pb;

use super::scan::{Found, Kind, scan};
use super::world::{
    delete_document, delete_session, erase, ingest, make_often, needles, rows, settings, start,
    take_lives, talk,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sled_the_receipt_names_the_copy_and_the_copy_is_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder.path().join("data"), "sled");
    let service = start(&settings).await;
    make_often(&service).await;
    talk(&service, "one", "quokka").await;
    ingest(&service, "one", "quokka", "much").await;
    service.stop().await;
    let mut needles = needles(&rows(&settings).await, "quokka");
    take_lives(&mut needles);
    let found = scan(&settings.data, &needles);
    for name in ["mark", "it", "is", "iv", "gp", "gk", "gv", "cd"] {
        assert!(found.contains(&(name.to_owned(), Kind::Sled)), "`{name}` in {found:?}");
    }
    let service = start(&settings).await;
    let deleted = delete_session(&service, "one").await;
    let receipt = deleted.erasure.unwrap();
    assert_eq!(receipt.files(), pb::FileErasure::ByStoreCopy);
    assert_eq!(receipt.erased_from_files_by, None, "nobody does it by himself");
    let receipt = delete_document(&service, "one").await.erasure.unwrap();
    assert_eq!(receipt.files(), pb::FileErasure::ByStoreCopy);
    let asked = service.tenants().erase_files(pb::EraseFilesRequest {}).await.unwrap();
    assert_eq!(asked.into_inner().files(), pb::FileErasure::ByStoreCopy);
    service.stop().await;
    assert!(!scan(&settings.data, &needles).is_empty(), "sled keeps it");
    for (name, engine) in [("again", Engine::Sled), ("other", Engine::Fjall)] {
        let copy = folder.path().join(name);
        copy_folder(&settings.data, &copy, engine, |_| {}).unwrap();
        assert_eq!(scan(&copy, &needles), Found::new());
        let settings = super::world::settings(&copy, engine.name());
        let service = start(&settings).await;
        if engine == Engine::Fjall {
            assert_eq!(erase(&service).await.files(), pb::FileErasure::ByNode);
        }
        service.stop().await;
        assert_eq!(scan(&copy, &needles), Found::new());
    }
}
