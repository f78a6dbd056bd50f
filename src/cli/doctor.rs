//! `keepsake doctor`: settings, the data folder, its rows.

use std::path::PathBuf;

use clap::Args;
use owo_colors::AnsiColors;
use serde_json::json;

use crate::app::{Line, examine};
use crate::audit::Level;
use crate::cli::{EXIT_INTERNAL, EXIT_OK, Error, Output, output::Paint, serve::layers_below_flags};
use crate::config::Settings;

/// Looks at a data folder while no server holds it. Exit codes: 0 all is well, or warnings only;
/// 1 something is wrong.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The data folder [default: that of the settings].
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// The TOML file of settings that `serve` is run with.
    #[arg(long, value_name = "FILE", env = "KEEPSAKE_CONFIG")]
    config: Option<PathBuf>,
    /// Mends what is derived: counts, lists, words, summaries and vectors (queued anew), rows that
    /// belong to nobody. Turns, keys and policies are never touched.
    #[arg(long)]
    repair: bool,
}

/// Looks, tells, and gives the exit code.
pub(super) async fn run(args: &DoctorArgs, output: Output) -> Result<u8, Error> {
    let lines = match settings(args) {
        Ok(settings) => {
            let text = "all settings are right".to_owned();
            let config = Line { name: "settings", level: Level::Ok, text, details: Vec::new() };
            let mut lines = vec![config];
            lines.extend(examine(&settings, args.repair).await);
            lines
        }
        Err(details) => {
            let text = "cannot be used".to_owned();
            vec![Line { name: "settings", level: Level::Bad, text, details }]
        }
    };
    let worst = lines.iter().map(|line| line.level).max().unwrap_or_default();
    if output.is_json() {
        let checks: Vec<_> = lines
            .iter()
            .map(|line| {
                json!({
                    "check": line.name, "level": line.level.text(), "text": line.text,
                    "details": line.details,
                })
            })
            .collect();
        output.json(&json!({ "level": worst.text(), "checks": checks }))?;
    } else {
        output.text(&lines.iter().map(|line| text(line, output.paint())).collect::<String>())?;
    }
    Ok(if worst == Level::Bad { EXIT_INTERNAL } else { EXIT_OK })
}

fn settings(args: &DoctorArgs) -> Result<Settings, Vec<String>> {
    let layers = layers_below_flags(args.config.as_deref())
        .map_err(|error| vec![format!("the file cannot be read: {error}")])?;
    let layers = layers.with_flag("data", args.data.clone());
    Settings::resolve(&layers)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

fn text(line: &Line, paint: Paint) -> String {
    let colour = match line.level {
        Level::Ok => AnsiColors::Green,
        Level::Warn => AnsiColors::Yellow,
        Level::Bad => AnsiColors::Red,
    };
    let level = paint.colour(&format!("{:<4}", line.level.text()), colour);
    let mut text = format!("{level}  {:<17} {}\n", line.name, line.text);
    for detail in &line.details {
        text.push_str(&format!("      {detail}\n"));
    }
    text
}
