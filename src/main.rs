//! The binary `keepsake`; all it does stands in the library.

fn main() -> std::process::ExitCode {
    keepsake::cli::main()
}
