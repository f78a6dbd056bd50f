//! Recall against tokens as a drawing. Pure.

use std::error::Error;

use plotters::prelude::{
    BLACK, ChartBuilder, DashedLineSeries, ErrorBar, IntoDrawingArea, IntoLogRange, LineSeries,
    PathElement, RGBColor, SVGBackend, SeriesLabelPosition, ShapeStyle, WHITE,
};

/// Width and height, in pixels.
const SIZE: (u32, u32) = (860, 520);
/// A colour for each set; of more they come again.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 90, 181), RGBColor(220, 90, 20), RGBColor(20, 130, 70), RGBColor(130, 60, 150)];
const TEXT: (&str, u32) = ("sans-serif", 15);

/// A curve: of one way of searching one set.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The place of its set: its colour.
    pub set: usize,
    /// The place of its way: whole and thick with intervals for the first, dashed for others.
    pub way: usize,
    /// What it is called.
    pub label: String,
    /// Tokens, recall from 0 to 1, and the ends of its interval; by rising tokens.
    pub points: Vec<(f64, f64, [f64; 2])>,
}

/// Draws the curves as SVG, tokens on a logarithmic scale.
///
/// # Errors
/// What the drawing fails with, as text; so does a plot without curves.
pub fn plot(curves: &[Curve]) -> Result<String, String> {
    if curves.is_empty() {
        return Err("no set has contexts: there is nothing to draw".to_owned());
    }
    draw(curves).map_err(|error| format!("cannot draw: {error}"))
}

fn draw(curves: &[Curve]) -> Result<String, Box<dyn Error>> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let first = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let lowest = points().map(|point| point.1.min(point.2[0])).fold(1.0, f64::min);
    let floor = (lowest * 10.0).floor() * 10.0;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let tokens = (first * 0.9..last * 1.1).log_scale().base(2.0);
        let mut chart = ChartBuilder::on(&area)
            .caption("Evidence within a context", ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(56)
            .build_cartesian_2d(tokens, floor..100.0)?;
        chart
            .configure_mesh()
            .x_desc("tokens used, mean")
            .y_desc("evidence recall, percent")
            .x_label_formatter(&|tokens| format!("{tokens:.0}"))
            .y_label_formatter(&|percent| format!("{percent:.0}"))
            .label_style(TEXT)
            .x_max_light_lines(1)
            .y_max_light_lines(1)
            .draw()?;
        for curve in curves {
            let colour = COLOURS[curve.set % COLOURS.len()];
            let line = curve.points.iter().map(|(tokens, mean, _)| (*tokens, mean * 100.0));
            let width = if curve.way == 0 { 3 } else { 1 };
            let style = ShapeStyle { color: colour.into(), filled: true, stroke_width: width };
            let drawn = if curve.way == 0 {
                let bars = curve.points.iter().map(|(tokens, mean, [low, high])| {
                    let [low, mean, high] = [low, mean, high].map(|value| value * 100.0);
                    ErrorBar::new_vertical(*tokens, low, mean, high, colour, 8)
                });
                chart.draw_series(bars)?;
                chart.draw_series(LineSeries::new(line, style).point_size(4))?
            } else {
                let (dash, gap) = if curve.way == 1 { (8, 4) } else { (2, 4) };
                chart.draw_series(DashedLineSeries::new(line, dash, gap, style))?
            };
            drawn.label(&curve.label).legend(move |(x, y)| {
                let end = if width > 1 { x + 24 } else { x + 12 };
                PathElement::new([(x, y), (end, y)], style)
            });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .legend_area_size(32)
            .margin(10)
            .label_font(TEXT)
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}
