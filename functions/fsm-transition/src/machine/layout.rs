//! Where everything of a machine's picture goes.
//!
//! States stand in layers, top to bottom, each below all that lead to it. A move to the next layer is an arrow straight
//! down; any other goes round the outside, in a lane of its own: forward on the left, back on the right.

use super::{
    config::{Config, State},
    graph::{Joined, joined_moves, layers},
};

const BOX_HEIGHT: i32 = 52;
const GAP: i32 = 54;
const LAYER: i32 = BOX_HEIGHT + GAP;
const MARGIN: i32 = 20;
/// How far a loop stands out of its box.
const LOOP: i32 = 30;
/// From a line to its label.
const LABEL: i32 = 8;
/// From the middle arrow of a state to the next.
const PORTS: i32 = 28;

/// The picture's geometry. The middle of the first layer is x = 0, its top y = 0.
#[derive(Debug)]
pub struct Layout {
    /// One for each state, in the order of the file.
    pub boxes: Vec<Rect>,
    /// The moves, and where the machine begins.
    pub arrows: Vec<Arrow>,
    /// The middle of the dot it begins with.
    pub dot: (i32, i32),
    /// Encloses everything.
    pub view: Rect,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rect {
    /// Left.
    pub x: i32,
    /// Top.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

/// A line with a head, and what it says.
#[derive(Debug)]
pub struct Arrow {
    /// SVG path data.
    pub path: String,
    /// Whether it is taken by force.
    pub forced: bool,
    /// Its text.
    pub label: String,
    /// Where the text begins, or ends if `label_left`; its middle line.
    pub label_at: (i32, i32),
    /// Whether the text is on the left of its line.
    pub label_left: bool,
}

/// The width of small text in a fixed-width font.
pub fn label_width(text: &str) -> i32 {
    width(text, 8)
}

/// Narrower letters than these are seldom; letters outside ASCII may be twice as wide.
fn width(text: &str, letter: i32) -> i32 {
    text.chars().map(|c| if c.is_ascii() || c == '×' { letter } else { 2 * letter }).sum()
}

/// What is known of a state's place.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    layer: i32,
    /// Twice its distance from the middle of its layer, in states.
    rank: i32,
    first: bool,
    last: bool,
    middle: i32,
}

impl Layout {
    /// Lays a machine out.
    pub fn of(config: &Config) -> Self {
        let moves = joined_moves(config);
        let text = |state: &State| {
            let title = state.words.title.as_deref().map_or(0, |title| width(title, 9));
            title.max(label_width(&state.name))
        };
        let width = (config.states.iter().map(text).max().unwrap_or_default() + 40).max(140);
        let layers = layers(config, &moves).into_iter();
        let places = layers.map(|layer| Place { layer, ..Place::default() }).collect();
        let mut plan = Plan { moves, places, width, arrows: Vec::new(), left: 0, right: 0 };
        plan.order();
        plan.space();
        plan.straight();
        plan.loops();
        plan.round();
        plan.enclose()
    }
}

/// A layout in the making.
struct Plan {
    moves: Vec<Joined>,
    places: Vec<Place>,
    width: i32,
    arrows: Vec<Arrow>,
    /// How far the picture goes.
    left: i32,
    right: i32,
}

impl Plan {
    fn place(&self, state: usize) -> Place {
        self.places.get(state).copied().unwrap_or_default()
    }

    fn top(&self, state: usize) -> i32 {
        self.place(state).layer * LAYER
    }

    fn layer(&self, layer: i32) -> Vec<usize> {
        (0..self.places.len()).filter(|state| self.place(*state).layer == layer).collect()
    }

    fn last_layer(&self) -> i32 {
        self.places.iter().map(|place| place.layer).max().unwrap_or_default()
    }

    /// Puts each layer's states into the order of those that lead to them.
    fn order(&mut self) {
        for layer in 0..=self.last_layer() {
            let mut states = self.layer(layer);
            states.sort_by_key(|state| {
                let before: Vec<_> = self
                    .moves
                    .iter()
                    .filter(|joined| joined.to == *state && self.place(joined.from).layer < layer)
                    .map(|joined| self.place(joined.from).rank)
                    .collect();
                // The mean, in hundredths.
                before.iter().sum::<i32>() * 100 / before.len().max(1) as i32
            });
            for (index, state) in states.iter().enumerate() {
                if let Some(place) = self.places.get_mut(*state) {
                    place.rank = 2 * index as i32 - (states.len() as i32 - 1);
                    place.first = index == 0;
                    place.last = index + 1 == states.len();
                }
            }
        }
    }

    /// A state's moves to the next layer, left to right: for each the line's distance from the state's middle, and
    /// whether its label is on the left. The middle one has its label on the right.
    fn ports(&self, state: usize) -> Vec<(&Joined, i32, bool)> {
        let next = self.place(state).layer + 1;
        let mut down: Vec<_> =
            self.moves.iter().filter(|joined| joined.from == state && self.place(joined.to).layer == next).collect();
        down.sort_by_key(|joined| (self.place(joined.to).rank, !joined.forced));
        let middle = down.len() / 2;
        let mut ports = Vec::new();
        let mut x = 0;
        for joined in down.iter().skip(middle) {
            ports.push((*joined, x, false));
            x += LABEL + label_width(&joined.label) + PORTS / 2;
        }
        x = -PORTS;
        for joined in down.iter().take(middle).rev() {
            ports.insert(0, (*joined, x, true));
            x -= LABEL + label_width(&joined.label) + PORTS / 2;
        }
        ports
    }

    /// Gives every state room for its box, its loop and the labels below it, and with that its x.
    fn space(&mut self) {
        for layer in 0..=self.last_layer() {
            let mut states = self.layer(layer);
            states.sort_by_key(|state| self.place(*state).rank);
            let mut edge = 0;
            let mut middles = Vec::new();
            let mut reaches = Vec::new();
            for state in &states {
                let (mut left, mut right) = (self.width / 2, self.width / 2);
                if let Some(label) = self.loop_label(*state) {
                    right += LOOP + LABEL + label_width(&label);
                }
                for (joined, x, label_left) in self.ports(*state) {
                    let label = LABEL + label_width(&joined.label);
                    left = left.max(if label_left { label - x } else { -x });
                    right = right.max(if label_left { x } else { x + label });
                }
                middles.push(edge + left);
                reaches.push((edge, edge + left + right));
                edge += left + right + MARGIN;
            }
            // The boxes are what the eye centres, not the labels.
            let centre = (middles.first().unwrap_or(&0) + middles.last().unwrap_or(&0)) / 2;
            for ((state, middle), (from, to)) in states.iter().zip(middles).zip(reaches) {
                if let Some(place) = self.places.get_mut(*state) {
                    place.middle = middle - centre;
                }
                self.left = self.left.min(from - centre);
                self.right = self.right.max(to - centre);
            }
        }
    }

    /// Arrows to the next layer.
    fn straight(&mut self) {
        let mut arrows = Vec::new();
        for state in 0..self.places.len() {
            for (joined, port, label_left) in self.ports(state) {
                let x = self.place(state).middle + port;
                let (top, bottom) = (self.top(state) + BOX_HEIGHT, self.top(joined.to));
                let target = self.place(joined.to).middle;
                let reach = self.width / 2 - 24;
                let end = x.clamp(target - reach, target + reach);
                let (path, label_y) = if end == x {
                    (format!("M{x} {top}V{bottom}"), top + GAP / 2 - 3)
                } else {
                    let (up, down) = (bottom - GAP / 2, top + GAP / 2);
                    // The label stays where the line has not turned away from it yet.
                    (format!("M{x} {top}C{x} {down} {end} {up} {end} {bottom}"), top + 15)
                };
                let label_x = if label_left { x - LABEL } else { x + LABEL };
                arrows.push(Arrow {
                    path,
                    forced: joined.forced,
                    label: joined.label.clone(),
                    label_at: (label_x, label_y),
                    label_left,
                });
            }
        }
        self.arrows.append(&mut arrows);
    }

    fn loop_label(&self, state: usize) -> Option<String> {
        let labels: Vec<_> = self
            .moves
            .iter()
            .filter(|joined| joined.from == state && joined.to == state)
            .map(|joined| joined.label.as_str())
            .collect();
        (!labels.is_empty()).then(|| labels.join(" / "))
    }

    /// Arrows from a state to itself, on the right of its box.
    fn loops(&mut self) {
        for state in 0..self.places.len() {
            let Some(label) = self.loop_label(state) else { continue };
            let x = self.place(state).middle + self.width / 2;
            let y = self.top(state) + BOX_HEIGHT / 2;
            let (out, above, below) = (x + LOOP + 8, y - 6, y + 6);
            self.arrows.push(Arrow {
                path: format!("M{x} {above}C{out} {} {out} {} {x} {below}", y - 17, y + 17),
                forced: false,
                label,
                label_at: (x + LOOP + LABEL, y + 3),
                label_left: false,
            });
        }
    }

    /// Arrows that skip layers, stay in one or go back: round the outside.
    fn round(&mut self) {
        let mut moves: Vec<_> = self
            .moves
            .iter()
            .filter(|joined| {
                joined.from != joined.to && self.place(joined.to).layer != self.place(joined.from).layer + 1
            })
            .cloned()
            .collect();
        // Short ones inside.
        moves.sort_by_key(|joined| (self.top(joined.to) - self.top(joined.from)).abs());
        for (index, joined) in moves.iter().enumerate() {
            let forward = self.top(joined.to) > self.top(joined.from);
            let side = if forward { -1 } else { 1 };
            let lane = if forward { self.left } else { self.right } + side * MARGIN;
            // Lines that share a box seldom share a height, and leave its middle to the loop.
            let shift = 11 + 5 * (index as i32 % 2);
            let mut points = self.way_out(joined.from, side, shift);
            let mut way_in = self.way_out(joined.to, side, -shift);
            way_in.reverse();
            let (y1, y2) = (points.last().map_or(0, |end| end.1), way_in.first().map_or(0, |start| start.1));
            points.extend([(lane, y1), (lane, y2)]);
            points.extend(way_in);
            self.arrows.push(Arrow {
                path: rounded(&points),
                forced: joined.forced,
                label: joined.label.clone(),
                label_at: (lane + side * LABEL, (y1 + y2) / 2),
                label_left: forward,
            });
            let reach = lane + side * (LABEL + label_width(&joined.label));
            if forward { self.left = reach } else { self.right = reach }
        }
    }

    /// From a box to where the way to a lane is free: its side, if no other box is beside it, else the gap below or,
    /// for a negative shift, above.
    fn way_out(&self, state: usize, side: i32, shift: i32) -> Vec<(i32, i32)> {
        let place = self.place(state);
        let edge = place.middle + side * self.width / 2;
        let middle = self.top(state) + BOX_HEIGHT / 2;
        if (side < 0 && place.first) || (side > 0 && place.last) {
            return vec![(edge, middle + shift)];
        }
        let (x, half) = (edge - side * 14, BOX_HEIGHT / 2 * shift.signum());
        vec![(x, middle + half), (x, middle + half + shift * 3 / 4)]
    }

    /// Adds the beginning, and measures the whole.
    fn enclose(mut self) -> Layout {
        let boxes: Vec<_> = (0..self.places.len())
            .map(|state| Rect {
                x: self.place(state).middle - self.width / 2,
                y: self.top(state),
                width: self.width,
                height: BOX_HEIGHT,
            })
            .collect();
        let x = self.layer(0).first().map_or(0, |state| self.place(*state).middle);
        let dot = (x, -36);
        self.arrows.insert(
            0,
            Arrow {
                path: format!("M{x} -36V0"),
                forced: false,
                label: String::new(),
                label_at: dot,
                label_left: false,
            },
        );
        let bottom = self.last_layer() * LAYER + BOX_HEIGHT;
        let view = Rect {
            x: self.left - MARGIN,
            y: -36 - 7 - MARGIN,
            width: self.right - self.left + 2 * MARGIN,
            height: bottom + 36 + 7 + 2 * MARGIN,
        };
        Layout { boxes, arrows: self.arrows, dot, view }
    }
}

/// A path along points, its corners rounded.
fn rounded(points: &[(i32, i32)]) -> String {
    let mut path = String::new();
    for (index, here) in points.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| points.get(before));
        path.push_str(&match (before, points.get(index + 1)) {
            (None, _) => format!("M{} {}", here.0, here.1),
            (_, None) => format!("L{} {}", here.0, here.1),
            (Some(before), Some(after)) => {
                let (a, b) = (towards(*here, *before), towards(*here, *after));
                format!("L{} {}Q{} {} {} {}", a.0, a.1, here.0, here.1, b.0, b.1)
            }
        });
    }
    path
}

/// A point on the way from a corner to a neighbour, at most a radius away.
fn towards(corner: (i32, i32), neighbour: (i32, i32)) -> (i32, i32) {
    const RADIUS: i32 = 10;
    let step = |from: i32, to: i32| from + ((to - from) / 2).clamp(-RADIUS, RADIUS);
    (step(corner.0, neighbour.0), step(corner.1, neighbour.1))
}
