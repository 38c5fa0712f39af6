//! Charts of a report: SVG for a page, small enough to read on a phone.
//!
//! Colours are placeholders that the page's style sheet replaces (`#000001` text, `#000002` grid, `#00000a` and so on
//! for the series), so a chart follows the page into the dark.

use std::collections::BTreeMap;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontFamily;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::report::{AccountBalance, CurrencyTotals, duration, grouped, money as major};
use super::statistics::{Interval, Percentiles};
use crate::primitives::currency::Currency;

const SIZE: (u32, u32) = (450, 240);
const TEXT: RGBColor = RGBColor(0, 0, 1);
const GRID: RGBColor = RGBColor(0, 0, 2);
const FIRST: RGBColor = RGBColor(0, 0, 10);
const SECOND: RGBColor = RGBColor(0, 0, 11);
const THIRD: RGBColor = RGBColor(0, 0, 12);
const POINTS_MAX: usize = 240;
const FONT_SIZE: f64 = 17.0;

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws; an empty string where there is nothing to draw.
fn svg(size: (u32, u32), draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Drawn) -> String {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?))
    };
    // A chart is an ornament of the figures beside it: without it the page still says everything.
    if drawn.is_ok() { text } else { String::new() }
}

fn font() -> TextStyle<'static> {
    TextStyle::from((FontFamily::SansSerif, FONT_SIZE)).color(&TEXT)
}

/// Requests a second over the time of the run.
///
/// Seconds before the first answer (a warm-up) and the last one, which is rarely a whole one, are left out.
pub fn throughput(series: &[Interval]) -> String {
    let first = series.iter().position(|second| second.requests > 0).unwrap_or(0);
    let last = if series.len() > first + 3 { series.len() - 1 } else { series.len() };
    let series = &series[first..last];
    let buckets = buckets(series);
    let points: Vec<(f64, f64)> = buckets
        .iter()
        .map(|bucket| (middle(bucket), bucket.iter().map(|s| s.requests).sum::<u64>() as f64 / bucket.len() as f64))
        .collect();
    let errors: Vec<(f64, f64)> = buckets
        .iter()
        .map(|bucket| (middle(bucket), bucket.iter().map(|s| s.errors).sum::<u64>() as f64 / bucket.len() as f64))
        .collect();
    if points.len() < 2 {
        return String::new();
    }
    let top = highest(&points) * 1.08;
    svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(18)
            .x_label_area_size(30)
            .y_label_area_size(62)
            .build_cartesian_2d(points[0].0..points[points.len() - 1].0, 0.0..top)?;
        mesh(&mut chart, &seconds, &|v: &f64| grouped(v.round() as i128))?;
        chart.draw_series(AreaSeries::new(points.iter().copied(), 0.0, FIRST.mix(0.18)))?;
        chart.draw_series(LineSeries::new(points.iter().copied(), FIRST.stroke_width(2)))?;
        if errors.iter().any(|(_, count)| *count > 0.0) {
            chart.draw_series(LineSeries::new(errors.iter().copied(), THIRD.stroke_width(2)))?;
        }
        Ok(())
    })
}

/// Median and 99th percentile over the time of the run, on a logarithmic scale.
pub fn latency(series: &[Interval]) -> String {
    let busy: Vec<Interval> = series.iter().copied().filter(|second| second.requests > 0).collect();
    let buckets = buckets(&busy);
    if buckets.len() < 2 {
        return String::new();
    }
    let line = |pick: fn(&Interval) -> u64| -> Vec<(f64, f64)> {
        let worst = |bucket: &[Interval]| bucket.iter().map(pick).max().unwrap_or(1).max(1) as f64;
        buckets.iter().map(|bucket| (middle(bucket), worst(bucket))).collect()
    };
    let (median, p99) = (line(|second| second.p50_us), line(|second| second.p99_us));
    let lowest = median.iter().map(|(_, us)| *us).fold(f64::MAX, f64::min);
    let (bottom, top) = decades(lowest, highest(&p99));
    svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(18)
            .x_label_area_size(30)
            .y_label_area_size(62)
            .build_cartesian_2d(median[0].0..median[median.len() - 1].0, (bottom..top).log_scale())?;
        mesh(&mut chart, &seconds, &|us: &f64| duration(*us))?;
        chart.draw_series(LineSeries::new(p99.iter().copied(), SECOND.stroke_width(2)))?;
        chart.draw_series(LineSeries::new(median.iter().copied(), FIRST.stroke_width(2)))?;
        Ok(())
    })
}

/// Which share of the requests was done within which time: one nine more per step to the right.
pub fn spectrum(latency: Option<&Percentiles>, service: Option<&Percentiles>) -> String {
    // 0.9 → 1, 0.99 → 2, 0.999 → 3: the axis of nines. The slowest request stands at the last one there is.
    let line = |times: Option<&Percentiles>| -> Vec<(f64, f64)> {
        let Some(times) = times else { return Vec::new() };
        let nines = |share: f64| if share >= 1.0 { 5.0 } else { -(1.0 - share).log10() };
        let points = times.spectrum.iter().filter(|(share, _)| *share >= 0.1);
        points.map(|&(share, us)| (nines(share), us.max(1) as f64)).collect()
    };
    let (latency, service) = (line(latency), line(service));
    if latency.is_empty() {
        return String::new();
    }
    let lowest = latency.iter().chain(&service).map(|(_, us)| *us).fold(f64::MAX, f64::min);
    let (bottom, top) = decades(lowest, highest(&latency).max(highest(&service)));
    svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(18)
            .x_label_area_size(30)
            .y_label_area_size(62)
            .build_cartesian_2d(0.0..5.0, (bottom..top).log_scale())?;
        mesh(&mut chart, &nines, &|us: &f64| duration(*us))?;
        chart.draw_series(LineSeries::new(service.iter().copied(), SECOND.stroke_width(2)))?;
        chart.draw_series(LineSeries::new(latency.iter().copied(), FIRST.stroke_width(2)))?;
        Ok(())
    })
}

fn nines(at: &f64) -> String {
    match at.round() as u8 {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        3 => "99.9 %".to_owned(),
        4 => "99.99 %".to_owned(),
        _ => "all".to_owned(),
    }
}

fn seconds(at: &f64) -> String {
    match at.round() as u64 {
        s if s >= 7_200 => format!("{:.1} h", *at / 3_600.0),
        s if s >= 600 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// Charged, refunded and fees, a chart per currency.
pub fn money(amounts: &BTreeMap<String, CurrencyTotals>) -> Vec<String> {
    let charts = amounts.iter().take(6).map(|(code, totals)| {
        let bars = [
            (format!("{} charged", code.to_uppercase()), totals.charged_minor, FIRST),
            ("refunded".to_owned(), totals.refunded_minor, SECOND),
            ("fees".to_owned(), totals.application_fees_minor, THIRD),
        ];
        let bars = bars.map(|(label, minor, colour)| Bar {
            label,
            parts: vec![(minor, colour)],
            text: major(minor, totals.exponent),
        });
        bar_chart(&bars)
    });
    charts.collect()
}

/// What the most popular sellers have, in the currency most of them have: available and pending.
pub fn sellers(accounts: &[AccountBalance]) -> String {
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for line in accounts.iter().flat_map(|account| &account.balances) {
        *uses.entry(&line.currency).or_default() += 1;
    }
    let Some((code, _)) = uses.into_iter().max_by_key(|(_, count)| *count) else { return String::new() };
    let exponent = code.parse::<Currency>().map_or(2, Currency::exponent);
    let bars: Vec<Bar> = accounts
        .iter()
        .take(10)
        .filter_map(|account| {
            let line = account.balances.iter().find(|line| line.currency == code)?;
            let (available, pending) = (line.available_minor, line.pending_minor);
            Some(Bar {
                label: format!("№ {}", account.rank),
                parts: vec![(available, SECOND), (pending, FIRST)],
                text: major(available + pending, exponent),
            })
        })
        .collect();
    bar_chart(&bars)
}

struct Bar {
    label: String,
    /// Minor units; negative ones are drawn as nothing, the text says them.
    parts: Vec<(i128, RGBColor)>,
    text: String,
}

/// Horizontal bars with their label before and their figure behind them.
fn bar_chart(bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| bar.parts.iter().map(|(minor, _)| minor.max(&0)).sum::<i128>()).max();
    let Some(longest) = longest.filter(|longest| *longest > 0) else { return String::new() };
    let label_width = bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(0) as i32 * 9 + 10;
    let text_width = bars.iter().map(|bar| bar.text.chars().count()).max().unwrap_or(0) as i32 * 9 + 12;
    let room = f64::from(SIZE.0 as i32 - label_width - text_width);
    let step = 30;
    svg((SIZE.0, bars.len() as u32 * step as u32 + 8), |area| {
        for (place, bar) in bars.iter().enumerate() {
            let y = 4 + place as i32 * step;
            let mut x = f64::from(label_width);
            let label = font().pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(bar.label.clone(), (label_width - 10, y + step / 2), label))?;
            for (minor, colour) in &bar.parts {
                let width = *minor.max(&0) as f64 / longest as f64 * room;
                let corners = [(x.round() as i32, y + 5), ((x + width).round() as i32, y + step - 5)];
                area.draw(&Rectangle::new(corners, colour.filled()))?;
                x += width;
            }
            let text = font().pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(bar.text.clone(), (x.round() as i32 + 8, y + step / 2), text))?;
        }
        Ok(())
    })
}

fn mesh<'a, X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'a>, Cartesian2d<X, Y>>,
    x_label: &dyn Fn(&f64) -> String,
    y_label: &dyn Fn(&f64) -> String,
) -> Drawn
where
    X: plotters::coord::ranged1d::Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    Y: plotters::coord::ranged1d::Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(1))
        .axis_style(GRID.stroke_width(1))
        .label_style(font())
        .x_labels(6)
        .y_labels(5)
        .x_label_formatter(x_label)
        .y_label_formatter(y_label)
        .draw()?;
    Ok(())
}

/// Seconds, put together until there are no more than a chart can show.
fn buckets(series: &[Interval]) -> Vec<&[Interval]> {
    series.chunks(series.len().div_ceil(POINTS_MAX).max(1)).collect()
}

fn middle(bucket: &[Interval]) -> f64 {
    bucket.iter().map(|second| second.second as f64).sum::<f64>() / bucket.len().max(1) as f64
}

fn highest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, value)| *value).fold(1.0, f64::max)
}

/// Powers of ten around a range.
fn decades(lowest: f64, highest: f64) -> (f64, f64) {
    let bottom = 10_f64.powf(lowest.max(1.0).log10().floor());
    (bottom, 10_f64.powf(highest.max(bottom * 10.0).log10().ceil()))
}
