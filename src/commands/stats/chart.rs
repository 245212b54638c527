//! Charts of a time series as SVG in a page.

use maud::{Markup, html};

use super::scale::Scale;
use super::tally::Steps;
use super::view::{Rounded, percent};
use crate::domain::duration;
use crate::domain::statistics::Measures;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 128.0;
/// The margins for the scale at the left and the times below.
const LEFT: f64 = 38.0;
const RIGHT: f64 = 4.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 18.0;

#[derive(Clone, Copy, Debug)]
pub struct Chart<'a> {
    pub steps: Steps,
    pub course: &'a [Measures],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Deliveries by status.
    Volume,
    /// The share of finished deliveries that succeeded.
    SuccessRate,
    /// How long attempts took: p50 and p90.
    Latency,
}

impl Chart<'_> {
    /// The chart. Every interval has a tooltip with its numbers.
    pub fn draw(&self, kind: Kind) -> Markup {
        let scale = self.scale(kind);
        let quantile =
            |share: f64| move |measures: &Measures| measures.durations.quantile(share).map(|ms| scale.share(ms as f64));
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label(kind)) {
                @for mark in scale.marks() {
                    @let y = y_of(scale.share(mark));
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(tenths(y)) y2=(tenths(y)) {}
                    text x=(LEFT - 5.0) y=(tenths(y + 3.5)) text-anchor="end" { (mark_text(kind, mark)) }
                }
                @match kind {
                    Kind::Volume => (self.bars(scale)),
                    Kind::SuccessRate => (self.line("half", Measures::success_rate)),
                    Kind::Latency => {
                        (self.line("most", quantile(0.9)))
                        (self.line("half", quantile(0.5)))
                    }
                }
                (self.times())
                @for (index, measures) in self.course.iter().enumerate() {
                    @let (x, width) = self.column(index);
                    rect.hit x=(tenths(x)) y=(TOP) width=(tenths(width)) height=(HEIGHT - TOP - BOTTOM) {
                        title { (self.clock(index, "%Y-%m-%d %H:%M")) " UTC: " (told(kind, measures)) }
                    }
                }
            }
        }
    }

    fn scale(&self, kind: Kind) -> Scale {
        let quantiles = |share| self.course.iter().filter_map(move |measures| measures.durations.quantile(share));
        match kind {
            Kind::Volume => Scale::linear(self.course.iter().map(Measures::deliveries).max().unwrap_or(0) as f64),
            Kind::SuccessRate => Scale::Linear { most: 1.0 },
            Kind::Latency => {
                let (lowest, highest) = (quantiles(0.5).min().unwrap_or(1), quantiles(0.9).max().unwrap_or(1));
                Scale::powers(lowest as f64, highest as f64)
            }
        }
    }

    fn bars(&self, scale: Scale) -> Markup {
        html! {
            @for (index, measures) in self.course.iter().enumerate() {
                @let (x, width) = self.column(index);
                @let gap = (width * 0.15).min(2.0);
                @for (class, height, foot) in stacked(measures, scale) {
                    rect.(class) x=(tenths(x + gap / 2.0)) y=(tenths(foot - height)) width=(tenths(width - gap))
                        height=(tenths(height)) {}
                }
            }
        }
    }

    /// A line through the intervals with a value; it has gaps where there is none, and a single value is a dot.
    fn line(&self, class: &str, value: impl Fn(&Measures) -> Option<f64>) -> Markup {
        let points: Vec<Option<(f64, f64)>> = self
            .course
            .iter()
            .enumerate()
            .map(|(index, measures)| {
                let (x, width) = self.column(index);
                value(measures).map(|share| (x + width / 2.0, y_of(share.min(1.0))))
            })
            .collect();
        let runs = points.split(Option::is_none).map(|run| run.iter().flatten().copied().collect::<Vec<_>>());
        html! {
            @for run in runs {
                @match run[..] {
                    [] => {}
                    // A line of length 0 with round ends is a dot.
                    [(x, y)] => path.(class) style="stroke-width:6" d={ "M" (tenths(x)) " " (tenths(y)) "h0.01" } {},
                    _ => path.(class) d=(path_through(&run)) {},
                }
            }
        }
    }

    /// The first, the middle and the last time.
    fn times(&self) -> Markup {
        let last = self.course.len().saturating_sub(1);
        let format = match self.steps.length * self.course.len() as i64 {
            span if span <= 36 * 3_600_000 => "%H:%M",
            span if span <= 10 * 86_400_000 => "%m-%d %H:%M",
            _ => "%Y-%m-%d",
        };
        let y = HEIGHT - 4.0;
        let mut places =
            vec![(0, LEFT, "start"), (last / 2, self.column(last / 2).0, "middle"), (last, WIDTH - RIGHT, "end")];
        places.dedup_by_key(|(index, ..)| *index);
        html! {
            @for (index, x, anchor) in places {
                text x=(tenths(x)) y=(y) text-anchor=(anchor) { (self.clock(index, format)) }
            }
        }
    }

    /// The left edge and the width of an interval.
    fn column(&self, index: usize) -> (f64, f64) {
        let width = (WIDTH - LEFT - RIGHT) / self.course.len().max(1) as f64;
        (LEFT + width * index as f64, width)
    }

    fn clock(&self, index: usize, format: &str) -> String {
        self.steps.time(index).date_time().format(format).to_string()
    }
}

fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Volume => "Deliveries over time",
        Kind::SuccessRate => "Success rate over time",
        Kind::Latency => "Latency over time",
    }
}

fn told(kind: Kind, measures: &Measures) -> String {
    let took = |share| measures.durations.quantile(share).map_or_else(|| "–".to_owned(), duration::measured);
    match kind {
        Kind::Volume => format!(
            "{} delivered, {} failed, {} waiting, {} cancelled",
            measures.successful, measures.failed, measures.waiting, measures.cancelled
        ),
        Kind::SuccessRate => match measures.success_rate() {
            Some(rate) => {
                format!("{} of {} finished", percent(Rounded(rate)), measures.successful + measures.failed)
            }
            None => "nothing finished".to_owned(),
        },
        Kind::Latency if measures.attempts == 0 => "no attempt".to_owned(),
        Kind::Latency => format!("p50 {}, p90 {}, of {} attempts", took(0.5), took(0.9), measures.attempts),
    }
}

fn mark_text(kind: Kind, value: f64) -> String {
    match kind {
        Kind::SuccessRate => format!("{:.0}%", value * 100.0),
        Kind::Latency if value >= 1_000.0 => format!("{:.0}s", value / 1_000.0),
        Kind::Latency => format!("{value:.0}ms"),
        Kind::Volume if value >= 10_000.0 => format!("{:.0}k", value / 1_000.0),
        Kind::Volume if value.fract() > 0.0 => String::new(),
        Kind::Volume => format!("{value:.0}"),
    }
}

/// The y coordinate of a share of the scale.
fn y_of(share: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
}

fn path_through(points: &[(f64, f64)]) -> String {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    format!("M{}", points.join("L"))
}

/// The bars of one interval, from the bottom: class, height and lower edge.
fn stacked(measures: &Measures, scale: Scale) -> Vec<(&'static str, f64, f64)> {
    let parts =
        [("good", measures.successful), ("bad", measures.failed), ("wait", measures.waiting + measures.cancelled)];
    let mut below = 0;
    let bar = |(class, count)| {
        let (foot, top) = (y_of(scale.share(below as f64)), y_of(scale.share((below + count) as f64)));
        below += count;
        // Failures must be visible beside a thousand successes.
        (class, (foot - top).max(if class == "bad" { 1.5 } else { 0.4 }), foot)
    };
    parts.into_iter().filter(|(_, count)| *count > 0).map(bar).collect()
}

/// Formats a length or coordinate.
fn tenths(length: f64) -> String {
    format!("{length:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::Status;
    use crate::domain::statistics::DeliverySample;
    use crate::domain::time::Timestamp;

    fn measures(statuses: &[Status]) -> Measures {
        let mut measures = Measures::default();
        for status in statuses {
            let created_at = Timestamp::from_millis(0);
            measures.add_delivery(&DeliverySample {
                webhook_id: 1,
                event_type: "a.b",
                created_at,
                status: *status,
                attempts: 1,
            });
        }
        measures
    }

    #[test]
    fn a_line_breaks_where_nothing_finished() {
        let (some, none) = (measures(&[Status::Success, Status::Failed]), measures(&[Status::Pending]));
        let course = [some.clone(), some.clone(), none, some];
        let chart = Chart { steps: Steps { start: 0, length: 60_000, count: 4 }, course: &course };
        let svg = chart.draw(Kind::SuccessRate).into_string();
        assert_eq!(svg.matches("class=\"half\"").count(), 2, "{svg}");
        assert_eq!(svg.matches("nothing finished").count(), 1, "{svg}");
        assert_eq!(chart.draw(Kind::Volume).into_string().matches("class=\"bad\"").count(), 3);
    }
}
