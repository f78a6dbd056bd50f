//! The listener that serves metrics to Prometheus.

use std::net::SocketAddr;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::error::StartError;
use crate::config::Settings;
use crate::storage::disk::GroupWritten;
use crate::telemetry::{self, Kind, METRICS};

/// Serves metrics on `listen` from now on, for as long as the process lives.
pub(super) fn serve(listen: SocketAddr, settings: &Settings) -> Result<(), StartError> {
    let mut exporter = PrometheusBuilder::new().with_http_listener(listen);
    for metric in METRICS {
        if let Kind::Histogram(limits) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            let set = exporter.set_buckets_for_metric(name, limits);
            exporter = set.map_err(StartError::Metrics)?;
        }
    }
    exporter.install().map_err(StartError::Metrics)?;
    telemetry::describe();
    telemetry::build_info(settings.engine.name(), settings.embedding.model.name());
    Ok(())
}

/// Notes a group of commits that is on disk.
pub(super) fn group_written(group: &GroupWritten) {
    telemetry::group_synced(group.commits, group.bytes, group.took, group.waiting);
}
