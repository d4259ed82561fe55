//! Writes values in the text format of OpenMetrics, each under its description.

use std::fmt::Result;

use chatstore::operations::Distribution;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use super::catalog::{MetricDescription, MetricKind};

/// What metrics are written to.
pub(super) struct Exposition<'e>(pub(super) DescriptorEncoder<'e>);

impl Exposition<'_> {
    /// A counter without labels.
    pub(super) fn counter(&mut self, of: &MetricDescription, value: impl EncodeCounterValue) -> Result {
        self.counters(of, [([], value)])
    }

    /// A counter for each of several values of its labels, which are in the order of the description.
    pub(super) fn counters<'v, V: EncodeCounterValue, const N: usize>(
        &mut self,
        of: &MetricDescription,
        values: impl IntoIterator<Item = ([&'v str; N], V)>,
    ) -> Result {
        self.each(of, values, |encoder, value| encoder.encode_counter::<NoLabelSet, _, f64>(&value, None))
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, of: &MetricDescription, value: impl EncodeGaugeValue) -> Result {
        self.gauges(of, [([], value)])
    }

    /// A gauge for each of several values of its labels.
    pub(super) fn gauges<'v, V: EncodeGaugeValue, const N: usize>(
        &mut self,
        of: &MetricDescription,
        values: impl IntoIterator<Item = ([&'v str; N], V)>,
    ) -> Result {
        self.each(of, values, |encoder, value| encoder.encode_gauge(&value))
    }

    fn each<'v, V, const N: usize>(
        &mut self,
        of: &MetricDescription,
        values: impl IntoIterator<Item = ([&'v str; N], V)>,
        encode: impl Fn(&mut MetricEncoder<'_>, V) -> Result,
    ) -> Result {
        let mut encoder = self.0.encode_descriptor(of.family, of.help(), None, metric_type(of))?;
        for (labels, value) in values {
            let labels: Vec<(&str, &str)> = of.labels().iter().copied().zip(labels).collect();
            if labels.is_empty() {
                encode(&mut encoder, value)?;
            } else {
                encode(&mut encoder.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }

    /// A distribution.
    pub(super) fn histogram(&mut self, of: &MetricDescription, distribution: &Distribution) -> Result {
        let mut encoder = self.0.encode_descriptor(of.family, of.help(), None, metric_type(of))?;
        let count = distribution.count();
        encoder.encode_histogram::<NoLabelSet>(distribution.sum, count, &distribution.ranges, None)
    }

    /// A metric that is kept as one of the library's.
    pub(super) fn metric(&mut self, of: &MetricDescription, metric: &impl EncodeMetric) -> Result {
        let encoder = self.0.encode_descriptor(of.family, of.help(), None, metric_type(of))?;
        metric.encode(encoder)
    }
}

const fn metric_type(of: &MetricDescription) -> MetricType {
    match of.kind() {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Histogram => MetricType::Histogram,
    }
}
