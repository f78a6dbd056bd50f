//! First starts that do not come to their end: the next one has all that a first one makes.

use std::fs;
use std::time::{Duration, Instant};

use super::ENGINES;
use super::chance::{Chance, setting};
use super::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_could_not_write_its_key_is_made_good_by_the_next() {
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::new(folder.path(), engine);
        let in_the_way = setup.data().join("dev.key/x");
        fs::create_dir_all(&in_the_way).unwrap();
        let ended = setup.start().await.err().expect("it cannot write its key");
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        assert!(ended.log.starts_with("error: cannot use the data folder"), "{}", ended.log);
        fs::remove_dir_all(setup.data().join("dev.key")).unwrap();
        // A server without a key never greets.
        assert!(setup.started().await.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_is_made_good_by_the_next() {
    for engine in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let began = Instant::now();
        Setup::new(&folder.path().join("whole"), engine).started().await.kill();
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap();
        let chance = Chance::new(setting("KEEPSAKE_CRASH_SEED", 1));
        for kill in 0..setting("KEEPSAKE_CRASH_ROUNDS", 8) {
            let setup = Setup::new(&folder.path().join(kill.to_string()), engine);
            let process = setup.spawn();
            let moment = Duration::from_micros(chance.below(micros));
            // Any moment is right.
            tokio::task::spawn_blocking(move || std::thread::sleep(moment)).await.unwrap();
            process.kill();
            assert!(setup.started().await.stop().await.success());
            if let Err(said) = setup.doctor() {
                panic!("{said}");
            }
        }
    }
}
