//! The `reconcile` binary; everything it does is in `reconcile-cli`.

fn main() -> std::process::ExitCode {
    reconcile_cli::main()
}
