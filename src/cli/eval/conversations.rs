//! A set of conversations: they are appended, each question is asked by Search and by BuildContext.
//! In: `<set>.turns.jsonl.gz` and `<set>.queries.jsonl.gz`. Out: an answer a question, latencies.

use std::path::Path;
use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::{
    Client, Error, Output,
    eval::{
        EvalArgs, One, RunFile, SetFiles,
        ask::{Answer, Asked, Turns, ask},
        choose,
        questions::{Question, read_rows},
        table::{Latencies, Table},
    },
    import::{self, Parsed},
    local::LocalServer,
    output::note,
    tenant::RetrievalArg,
};

/// A set whose turns are on a server.
pub(super) struct Appended {
    /// What was appended.
    turns: Turns,
    /// Its questions.
    pub(super) questions: Vec<Question>,
}

/// Measures one set.
pub(super) async fn run(one: &One<'_>, output: Output) -> Result<(), Error> {
    let args = one.args;
    let set = read(one.files)?;
    let (server, client) = LocalServer::start(args.wishes()?).await?;
    let done = async {
        choose(args.retrieval, &client).await?;
        let wait = args.retrieval != RetrievalArg::Words;
        let appended = append((&server, &client), set, wait).await?;
        measure(one, output, &client, &appended).await
    };
    let done = done.await;
    server.stop().await?;
    done
}

/// Asks the questions, writes the run file and the figures.
async fn measure(
    one: &One<'_>,
    output: Output,
    client: &Client,
    appended: &Appended,
) -> Result<(), Error> {
    let (args, set, questions) = (one.args, &one.files.name, &appended.questions);
    let mut latencies = Latencies::default();
    let answers = ask_all(args, client, appended, &mut latencies).await?;
    write(one.out, questions, &answers)?;
    let mut table = Table::new(&args.budgets);
    for (question, answer) in questions.iter().zip(&answers) {
        table.add(question, answer);
    }
    let asked = questions.len();
    if output.is_json() {
        return output.json(&json!({
            "set": set, "questions": asked, "run": one.out.display().to_string(),
            "figures": table.to_json(), "latencyMs": latencies.to_json(),
        }));
    }
    let (figures, times, score) = (table.to_text(), latencies.to_text(), one.scored_by());
    let model = &args.model;
    let text = format!(
        "{set}: {asked} questions, counted for {model}\n\n{figures}\n{times}\nto score: {score}"
    );
    output.text(&text)
}

/// Reads the files of a set.
pub(super) fn read(files: &SetFiles) -> Result<(Parsed, Vec<Question>), Error> {
    let questions = read_rows(&files.questions)?;
    let parsed = import::parse(&import::read_unpacked(&files.turns)?, &files.name);
    check(&files.turns, &parsed)?;
    Ok((parsed, questions))
}

/// A set must be whole: a figure over a part of it would be no figure of the set.
fn check(path: &Path, parsed: &Parsed) -> Result<(), Error> {
    let lines: Vec<String> = parsed
        .mistakes
        .iter()
        .take(20)
        .map(|mistake| format!("{}:{}: {}", path.display(), mistake.line, mistake.message))
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(Error::Usage(lines.join("\n"))) }
}

/// Appends the turns, and waits for their vectors if told to.
pub(super) async fn append(
    (server, client): (&LocalServer, &Client),
    (parsed, questions): (Parsed, Vec<Question>),
    wait: bool,
) -> Result<Appended, Error> {
    let sessions = parsed.sessions;
    let started = Instant::now();
    let sent = import::send(client, sessions.clone(), &ProgressBar::hidden()).await;
    if let Some((session, why)) = sent.failed.first() {
        let count = sent.failed.len();
        return Err(Error::Internal(format!("{count} sessions failed, first {session}: {why}")));
    }
    let seconds = started.elapsed().as_secs_f64();
    note(&format!("appended {} turns of {} sessions in {seconds:.1} s", sent.new, sent.sessions));
    if wait {
        let started = Instant::now();
        server.embedded().await;
        note(&format!("embedded the rest in {:.1} s", started.elapsed().as_secs_f64()));
    }
    Ok(Appended { turns: Turns::new(&sessions, &sent.seqs), questions })
}

/// Asks all questions, one after the other.
pub(super) async fn ask_all(
    args: &EvalArgs,
    client: &Client,
    set: &Appended,
    latencies: &mut Latencies,
) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::new();
    for question in &set.questions {
        let (budgets, model) = (&args.budgets, &args.model);
        let asked = Asked { question, budgets, model, turns: &set.turns };
        answers.push(ask(&asked, client, latencies).await?);
    }
    Ok(answers)
}

/// Writes a run file.
pub(super) fn write(path: &Path, questions: &[Question], answers: &[Answer]) -> Result<(), Error> {
    let mut run = RunFile::create(path)?;
    for (question, answer) in questions.iter().zip(answers) {
        for line in answer.lines(&question.query) {
            run.write(&line)?;
        }
    }
    run.finish()
}
