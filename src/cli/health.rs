//! `keepsake health`: whether a server serves, for probes of containers.

use tonic::Status;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::cli::{Error, Output, Settings, connect::channel};

/// The service that is asked about: the one that appends and builds contexts.
const SERVICE: &str = "keepsake.v1.MemoryService";

/// Asks a server whether it serves; no API key is needed.
pub(super) async fn run(settings: &Settings, output: Output) -> Result<(), Error> {
    let channel = channel(settings).await?;
    let mut request = tonic::Request::new(HealthCheckRequest { service: SERVICE.to_owned() });
    request.set_timeout(settings.timeout);
    let answer = HealthClient::new(channel).check(request).await?.into_inner();
    match answer.status() {
        ServingStatus::Serving if output.is_json() => {
            output.json(&serde_json::json!({ "status": "SERVING" }))
        }
        ServingStatus::Serving => output.text("serving\n"),
        other => Err(Status::unavailable(format!("the server is {}", other.as_str_name())).into()),
    }
}
