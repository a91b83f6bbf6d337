//! A machine as a picture that stands for itself: no font, script or stylesheet from elsewhere.

use std::fmt::Write as _;

use super::{
    config::{Config, State},
    layout::{Layout, Rect, label_width},
};

/// Day, and night where the reader's system says so. The background is painted: a page around it may say otherwise.
const STYLE: &str = "\
rect{fill:#f5f5f4;stroke:#78716c;stroke-width:1.5}.step{fill:#e0f2fe;stroke:#0284c7}.in{fill:none}\
path{fill:none;stroke:#57534e;stroke-width:1.5}.bg{fill:#fff;stroke:none}.forced{stroke-dasharray:5 4}.dot,#head path{fill:#57534e;stroke:none}\
text{fill:#1c1917;text-anchor:middle}.n,.e{font:12px ui-monospace,monospace}.n,.c{fill:#57534e}\
.e{fill:#44403c;dominant-baseline:central;text-anchor:start;stroke:#fff;stroke-width:4;paint-order:stroke}\
.l{text-anchor:end}.c{font-size:12px;font-weight:400;text-anchor:start}.here{display:none}\
@media(prefers-color-scheme:dark){rect{fill:#292524;stroke:#a8a29e}.step{fill:#0c4a6e;stroke:#38bdf8}\
.in{fill:none}path{stroke:#d6d3d1}.bg{fill:#1c1917;stroke:none}.dot,#head path{fill:#d6d3d1}text{fill:#fafaf9}.n,.c{fill:#d6d3d1}\
.e{fill:#e7e5e4;stroke:#1c1917}}";

/// The picture's text.
pub fn svg(config: &Config, layout: &Layout) -> String {
    let legend = legend(config);
    let view = with_legend(layout.view, &legend);
    let Rect { x, y, width, height } = view;
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"{x} {y} {width} {height}\" font-family=\"system-ui,sans-serif\" \
         font-size=\"15\" font-weight=\"600\"><style>{STYLE}</style><title>{}, version {}</title>",
        escape(config.words.title.as_deref().unwrap_or(&config.id)),
        config.version
    );
    if let Some(description) = &config.words.description {
        let _ = write!(svg, "<desc>{}</desc>", escape(description));
    }
    let _ = write!(
        svg,
        "<marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker>\
         <path class=\"bg\" d=\"M{x} {y}h{width}v{height}h-{width}z\"/>"
    );
    for arrow in &layout.arrows {
        let class = if arrow.forced { " class=\"forced\"" } else { "" };
        let _ = write!(svg, "<path{class} d=\"{}\" marker-end=\"url(#head)\"/>", arrow.path);
    }
    // After all lines, so that no line crosses out a word.
    for arrow in layout.arrows.iter().filter(|arrow| !arrow.label.is_empty()) {
        let class = if arrow.label_left { "e l" } else { "e" };
        let (x, y) = arrow.label_at;
        let _ = write!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escape(&arrow.label));
    }
    let (dot_x, dot_y) = layout.dot;
    let _ = write!(svg, "<circle class=\"dot\" cx=\"{dot_x}\" cy=\"{dot_y}\" r=\"7\"/>");
    for (state, place) in config.states.iter().zip(&layout.boxes) {
        push_state(&mut svg, state, *place);
    }
    for (line, text) in legend.iter().rev().enumerate() {
        let (x, y) = (x + LEGEND_MARGIN, y + height - LEGEND_MARGIN + 4 - LEGEND_LINE * line as i32);
        let class = if *text == HERE { "c here" } else { "c" };
        let _ = write!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
    }
    svg.push_str("</svg>\n");
    svg
}

/// A box with the state's title and name, or its name alone.
fn push_state(svg: &mut String, state: &State, place: Rect) {
    let Rect { x, y, width, height } = place;
    let class = if state.is_step { " class=\"step\"" } else { "" };
    let _ = write!(
        svg,
        "<g id=\"state-{}\"><rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
         rx=\"10\"/>",
        state.name
    );
    if state.is_final {
        let (x, y, width, height) = (x + 4, y + 4, width - 8, height - 8);
        let _ = write!(svg, "<rect class=\"in\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"7\"/>");
    }
    let middle = x + width / 2;
    let mut name_y = y + height / 2 + 4;
    if let Some(title) = &state.words.title {
        let _ = write!(svg, "<text x=\"{middle}\" y=\"{}\">{}</text>", y + 23, escape(title));
        name_y = y + 40;
    }
    let _ = write!(svg, "<text class=\"n\" x=\"{middle}\" y=\"{name_y}\">{}</text></g>", state.name);
}

const LEGEND_LINE: i32 = 18;
const LEGEND_MARGIN: i32 = 20;

/// The line of the legend that shows only where a state is marked.
const HERE: &str = "Amber: where the session is.";

/// What colours and dashes mean, where there are any.
fn legend(config: &Config) -> Vec<&'static str> {
    let mut lines = vec![HERE];
    if config.states.iter().any(|state| state.is_step) {
        lines.push("Blue: a step. Its response is stored.");
    }
    if config.moves().any(|(_, _, branch)| branch.guard.is_some()) {
        lines.push("Dashed: by force, at the last attempt.");
    }
    lines
}

fn with_legend(view: Rect, legend: &[&str]) -> Rect {
    let widest = legend.iter().map(|line| label_width(line)).max().unwrap_or_default() + 2 * LEGEND_MARGIN;
    let more = (widest - view.width).max(0);
    Rect {
        x: view.x - more / 2,
        width: view.width + more,
        height: view.height + (LEGEND_LINE + 2) * legend.len() as i32,
        ..view
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
