//! `keepsake jobs`: work behind the sessions that waits, runs or is dead.

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::{
    Client, Error, Output,
    output::Paint,
    render::in_words,
    session::{page_size, parse_limit},
    wire::show_time,
};
use crate::proto::v1;

/// Flags of `keepsake jobs`.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// What to do [default: list].
    #[command(subcommand)]
    command: Option<JobsCommand>,
    /// The tenant [default: the key's own].
    #[arg(long, global = true, default_value = "", hide_default_value = true)]
    tenant: String,
    /// Only jobs in this state.
    #[arg(long, value_enum)]
    state: Option<JobStateArg>,
    /// How many at most.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = parse_limit)]
    limit: usize,
}

/// The commands on jobs.
#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// Make a job due now, with its failed attempts forgotten.
    Retry {
        /// The job.
        job_id: String,
    },
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum JobStateArg {
    /// It waits for its time.
    Waiting,
    /// A worker holds it.
    Leased,
    /// It failed too often.
    Dead,
}

impl JobStateArg {
    fn wire(self) -> v1::JobState {
        match self {
            Self::Waiting => v1::JobState::Waiting,
            Self::Leased => v1::JobState::Leased,
            Self::Dead => v1::JobState::Dead,
        }
    }
}

/// Runs a command on jobs.
pub(super) async fn run(args: JobsArgs, mut client: Client, output: Output) -> Result<(), Error> {
    match args.command {
        None => list(args, client, output).await,
        Some(JobsCommand::Retry { job_id }) => {
            let request = v1::RetryJobRequest { tenant_id: args.tenant, job_id };
            let answer = client.tenants.retry_job(request).await?.into_inner();
            output.answer("keepsake.v1.RetryJobResponse", &answer, |paint| {
                answer.job.as_ref().map(|job| line(job, paint)).unwrap_or_default()
            })
        }
    }
}

async fn list(args: JobsArgs, mut client: Client, output: Output) -> Result<(), Error> {
    let mut all = v1::ListJobsResponse::default();
    while all.jobs.len() < args.limit {
        let request = v1::ListJobsRequest {
            tenant_id: args.tenant.clone(),
            page_size: page_size(args.limit - all.jobs.len()),
            page_token: all.next_page_token,
            state: args.state.map_or(0, |state| state.wire().into()),
        };
        let page = client.tenants.list_jobs(request).await?.into_inner();
        all.jobs.extend(page.jobs);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    output.answer("keepsake.v1.ListJobsResponse", &all, |paint| {
        let mut text: String = all.jobs.iter().map(|job| line(job, paint)).collect();
        if all.jobs.is_empty() {
            text.push_str("no jobs\n");
        } else if !all.next_page_token.is_empty() {
            text.push_str(&paint.dim("there are more: raise --limit\n"));
        }
        text
    })
}

fn line(job: &v1::Job, paint: Paint) -> String {
    let failed = match job.attempts {
        0 => String::new(),
        attempts => format!("  {attempts} failed, last {}", job.last_reason),
    };
    format!(
        "{}  {}  {}  {}  {}{failed}\n",
        paint.bold(&job.job_id),
        in_words(job.kind().as_str_name(), "JOB_KIND_"),
        in_words(job.state().as_str_name(), "JOB_STATE_"),
        job.session_id,
        paint.dim(&format!("due {}", show_time(job.due_time.as_ref()))),
    )
}
