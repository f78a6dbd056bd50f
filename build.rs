//! Compiles `proto/` with protox, so that no `protoc` is needed on the machine.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 7] = [
    "keepsake/v1/context.proto",
    "keepsake/v1/document_service.proto",
    "keepsake/v1/erasure.proto",
    "keepsake/v1/memory_service.proto",
    "keepsake/v1/session.proto",
    "keepsake/v1/tenant_service.proto",
    "keepsake/v1/turn.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("keepsake.descriptors.bin"), descriptors.encode_to_vec())?;
    // Maps are sorted, so that equal requests have equal bytes.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
