//! The binary `keepsake`; all it does stands in the library.

/// A call makes and drops thousands of small values: the allocator is a quarter of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    keepsake::cli::main()
}
