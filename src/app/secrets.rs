//! The files of the data folder that hold secrets: the server's, and the development key.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::error::{StartError, folder_error};
use crate::chance::{Chance, SystemChance};
use crate::config::{Engine, Settings};
use crate::error::{Failure, Reason};
use crate::memory::{Memory, NewKey, NewTenant};
use crate::record::{Scopes, keys};
use crate::storage::{Read, Store};
use crate::types::{Policy, TenantId};

/// The tenant of the development key.
const DEV_TENANT: &str = "dev";

/// The secret that keys hashes and page tokens: made at the first start, kept beside the data.
/// A store that holds tenants is refused without it: no API key would be known any more.
pub(super) fn server_secret(settings: &Settings, is_new: bool) -> io::Result<[u8; 32]> {
    if settings.engine == Engine::Memory {
        return Ok(SystemChance.secret32());
    }
    let path = settings.data.join("server.key");
    match fs::read(&path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| io::Error::other("`server.key` must hold 32 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_new => {
            Err(io::Error::other("it holds tenants but no `server.key`: put that file back"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = SystemChance.secret32();
            write_secret(&path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    // `NamedTempFile` makes files with mode 0600.
    file.persist(path)?;
    fs::File::open(folder)?.sync_all()
}

/// Whether a store holds no tenant yet.
pub(super) async fn is_empty(store: &dyn Store) -> Result<bool, StartError> {
    let tenants = Read::prefix(keys::tenants()).limit(1);
    let failed = |error| {
        let failure = Failure::new(Reason::StoreFault, "the store cannot be read");
        StartError::Prepare(failure.because(error))
    };
    Ok(store.read(vec![tenants]).await.map_err(failed)?[0].is_empty())
}

/// The development key: the one in `dev.key` while it is valid. A new one is made only while its
/// tenant has no key at all, so that one that was taken away does not come back.
pub(super) async fn dev_key(
    settings: &Settings,
    memory: &Memory,
) -> Result<Option<String>, StartError> {
    let path = settings.data.join("dev.key");
    let written = match settings.engine {
        Engine::Memory => None,
        Engine::Fjall | Engine::Sled => {
            dev_key_in(&path).map_err(|source| folder_error(settings, source))?
        }
    };
    if let Some(key) = written
        && memory.authenticate(&key).await.is_ok()
    {
        return Ok(Some(key));
    }
    let tenant = TenantId::parse(DEV_TENANT).expect("the name is an id");
    let new = NewTenant { tenant: tenant.clone(), policy: Policy::initial() };
    match memory.create_tenant(&new, None).await {
        Ok(_) => {}
        Err(failure) if failure.reason() == Reason::TenantExists => {}
        Err(failure) => return Err(StartError::Prepare(failure)),
    }
    let known = memory.list_keys(&tenant, None, 1).await.map_err(StartError::Prepare)?;
    if !known.items.is_empty() {
        tracing::warn!("there is no valid development key; one is made at the first start only");
        return Ok(None);
    }
    let scopes = Scopes::READ.and(Scopes::WRITE).and(Scopes::ADMIN).and(Scopes::OPERATOR);
    let key = NewKey { display_name: "development".to_owned(), scopes, expires_at: None };
    let fresh = memory.fresh_key();
    let secret = fresh.secret().to_owned();
    // The file comes first: a key whose secret was never written down would be the only one of its
    // tenant, and no start would make another.
    if settings.engine != Engine::Memory {
        write_secret(&path, format!("{secret}\n").as_bytes())
            .map_err(|source| folder_error(settings, source))?;
    }
    memory.create_key_as(&tenant, &key, None, fresh).await.map_err(StartError::Prepare)?;
    Ok(Some(secret))
}

/// What stands in `dev.key`; `None` when there is no such file.
fn dev_key_in(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(io::Error::new(error.kind(), format!("`dev.key` cannot be read: {error}")))
        }
    }
}
