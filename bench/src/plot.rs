//! The results as a picture: CPU time, throughput and latency at 1, 8 and 64
//! connections, one panel each, one group of bars for each program.
//!
//! Must not know how they were come by.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::cases::{SUBJECTS, USUAL};
use crate::results::{CPU, Key, P50, PER_SECOND, Results};

const CONNECTIONS: [u32; 3] = [1, 8, 64];
/// Light to dark, as connections grow.
const SHADES: [RGBColor; 3] = [
    RGBColor(158, 202, 225),
    RGBColor(66, 146, 198),
    RGBColor(8, 69, 148),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(120, 120, 120);

const NAMES: i32 = 90;
const PANEL: i32 = 290;
const BAR: i32 = 14;
const GROUP: i32 = 3 * BAR + 16;
const HEAD: i32 = 78;
/// Of a panel: the longest bar. The rest is for its number.
const LONGEST: i32 = 215;

/// A panel: its title, what it shows of a load, how a number is written.
struct Panel {
    title: &'static str,
    figure: fn(&Results, &Key) -> Option<f64>,
    written: fn(f64) -> String,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "CPU per request, x floor (less is better)",
        figure: |results, key| results.relative(key, CPU),
        written: |value| format!("{value:.1}"),
    },
    Panel {
        title: "requests/s, % of floor (more is better)",
        figure: |results, key| Some(100.0 * results.relative(key, PER_SECOND)?),
        written: |value| format!("{value:.0} %"),
    },
    Panel {
        title: "p50, us (less is better)",
        figure: |results, key| results.median(key, P50),
        written: |value| format!("{value:.0}"),
    },
];

/// The picture as SVG.
pub(crate) fn svg(results: &Results) -> Result<String> {
    let subjects: Vec<&str> = SUBJECTS
        .iter()
        .map(|subject| subject.name)
        .filter(|name| results.loads().any(|key| key.subject == *name))
        .collect();
    let size = (
        (NAMES + PANEL * PANELS.len() as i32) as u32,
        (HEAD + GROUP * subjects.len() as i32 + 10) as u32,
    );
    let mut picture = String::new();
    draw(
        results,
        &subjects,
        SVGBackend::with_string(&mut picture, size),
    )
    .map_err(|error| anyhow!("the picture cannot be drawn: {error}"))?;
    Ok(picture)
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(results: &Results, subjects: &[&str], backend: SVGBackend<'_>) -> Drawn {
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    legend(&area)?;
    for (row, subject) in subjects.iter().enumerate() {
        let middle = top(row) + 3 * BAR / 2;
        let style = text(14, INK, HPos::Right);
        area.draw(&Text::new(
            (*subject).to_owned(),
            (NAMES - 12, middle),
            style,
        ))?;
    }
    for (column, panel) in PANELS.iter().enumerate() {
        let left = NAMES + PANEL * column as i32;
        draw_panel(&area, panel, left, results, subjects)?;
    }
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn legend(area: &Area<'_>) -> Drawn {
    let title = "What the runner costs beside the floor: a request of 1.6 KB, one header is set";
    area.draw(&Text::new(title, (NAMES, 18), text(15, INK, HPos::Left)))?;
    for (index, (connections, shade)) in CONNECTIONS.iter().zip(SHADES).enumerate() {
        let left = NAMES + 130 * index as i32;
        let square = [(left, 34), (left + 11, 45)];
        area.draw(&Rectangle::new(square, shade.filled()))?;
        let words = match connections {
            1 => String::from("1 connection"),
            _ => format!("{connections} connections"),
        };
        area.draw(&Text::new(
            words,
            (left + 17, 40),
            text(12, INK, HPos::Left),
        ))?;
    }
    Ok(())
}

fn draw_panel(
    area: &Area<'_>,
    panel: &Panel,
    left: i32,
    results: &Results,
    subjects: &[&str],
) -> Drawn {
    let style = text(12, FAINT, HPos::Left);
    area.draw(&Text::new(panel.title, (left, HEAD - 14), style))?;
    let bars: Vec<(i32, RGBColor, f64)> = bars(panel, results, subjects);
    let longest = bars.iter().map(|(_, _, value)| *value).fold(0.0, f64::max);
    for (top, shade, value) in bars {
        let length = (f64::from(LONGEST) * value / longest).round().max(1.0) as i32;
        let bar = [(left, top), (left + length, top + BAR - 2)];
        area.draw(&Rectangle::new(bar, shade.filled()))?;
        let place = (left + length + 5, top + BAR / 2 - 1);
        let style = text(11, INK, HPos::Left);
        area.draw(&Text::new((panel.written)(value), place, style))?;
    }
    let foot = top(subjects.len()) - 10;
    area.draw(&PathElement::new(
        vec![(left, HEAD - 2), (left, foot)],
        FAINT,
    ))?;
    Ok(())
}

fn bars(panel: &Panel, results: &Results, subjects: &[&str]) -> Vec<(i32, RGBColor, f64)> {
    let mut bars = Vec::new();
    for (row, subject) in subjects.iter().enumerate() {
        for (index, (connections, shade)) in CONNECTIONS.iter().zip(SHADES).enumerate() {
            let key = Key::new(USUAL, subject, *connections);
            if let Some(value) = (panel.figure)(results, &key) {
                bars.push((top(row) + BAR * index as i32, shade, value));
            }
        }
    }
    bars
}

fn top(row: usize) -> i32 {
    HEAD + GROUP * row as i32
}

fn text(size: i32, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    // The crate takes points for a font's box; a picture has pixels.
    ("sans-serif", f64::from(size) * 1.24)
        .into_font()
        .color(&colour)
        .pos(Pos::new(side, VPos::Center))
}
