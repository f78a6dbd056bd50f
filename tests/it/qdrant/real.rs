//! The real server, if the environment names one.

use std::io::Write as _;
use std::sync::Once;

/// Where the real server is, if there is one; if there is none, it is said aloud.
pub fn real_qdrant() -> Option<String> {
    static SAID: Once = Once::new();
    let url = std::env::var("KEEPSAKE_TEST_QDRANT_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        SAID.call_once(|| {
            // Past what the harness captures.
            let said = "\nNO REAL QDRANT WAS TRIED: KEEPSAKE_TEST_QDRANT_URL is not set\n";
            std::io::stderr().write_all(said.as_bytes()).unwrap();
        });
    }
    url
}

/// The collections of a test on a server of somebody else: they go with the test.
pub struct Leftovers {
    url: String,
    prefix: String,
}

impl Leftovers {
    /// Those whose names begin so.
    pub fn of(url: &str, prefix: &str) -> Self {
        Self { url: url.to_owned(), prefix: prefix.to_owned() }
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        let (url, prefix) = (self.url.clone(), self.prefix.clone());
        // A test may stand in a runtime of its own here.
        let removing = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = qdrant_client::Qdrant::from_url(&url).skip_compatibility_check();
                let client = client.build()?;
                for found in client.list_collections().await?.collections {
                    if found.name.starts_with(&prefix) {
                        client.delete_collection(&found.name).await?;
                    }
                }
                Ok::<_, qdrant_client::QdrantError>(())
            })
        });
        if let Err(error) = removing.join().unwrap() {
            eprintln!("collections of a test are still there: {error}");
        }
    }
}

/// A prefix that no other test has.
pub fn prefix() -> String {
    format!("keepsake-test-{:016x}", fastrand::u64(..))
}
