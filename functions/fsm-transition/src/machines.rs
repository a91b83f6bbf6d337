//! The machines this build knows, as it shows them. What moves are allowed is not decided by these: the database has
//! its own copy of the same files, and decides.

/// A version of a machine.
#[derive(Debug)]
pub struct Machine {
    /// Its name: `supportive-yarn`.
    pub id: &'static str,
    /// From 1.
    pub version: u32,
    /// Its states, each with what the Mermaid diagram calls it.
    pub states: &'static [(&'static str, &'static str)],
    /// Its file, as JSON without white space.
    pub definition: &'static str,
    /// A Mermaid state diagram.
    pub mermaid: &'static str,
    /// A picture, parted where a mark goes: before the end of its style, before the end of its title, and the rest.
    pub svg: [&'static str; 3],
}

/// Every version of every machine: by id, then version.
pub static ALL: &[Machine] = include!(concat!(env!("OUT_DIR"), "/machines.rs"));

/// A version of a machine; the latest when none is named.
pub fn find(id: &str, version: Option<u32>) -> Option<&'static Machine> {
    let is_wanted = |machine: &&Machine| machine.id == id && version.is_none_or(|version| machine.version == version);
    ALL.iter().rfind(is_wanted)
}

impl Machine {
    /// The picture. A state that is named is marked in its looks and in the picture's accessible name; one the machine
    /// does not have marks nothing.
    pub fn svg(&self, here: Option<&str>) -> String {
        let [style, title, body] = self.svg;
        let Some((state, _)) = self.state(here) else { return self.svg.concat() };
        // The same colours by day and by night; an id outweighs the classes of both.
        let mark = " rect{fill:#fbbf24;stroke:#b45309;stroke-width:3}.here{display:inline}#state-";
        let inside = " text{fill:#1c1917}#state-";
        let ring = " .in{stroke-width:1}";
        format!("{style}#state-{state}{mark}{state}{inside}{state}{ring}{title}, now at {state}{body}")
    }

    /// The Mermaid diagram, marked in the same way.
    pub fn mermaid(&self, here: Option<&str>) -> String {
        let Some((_, alias)) = self.state(here) else { return self.mermaid.to_owned() };
        let style = "    classDef current fill:#fbbf24,stroke:#b45309,stroke-width:3px,color:#1c1917\n    class ";
        format!("{}{style}{alias} current\n", self.mermaid)
    }

    fn state(&self, name: Option<&str>) -> Option<&(&'static str, &'static str)> {
        self.states.iter().find(|(state, _)| Some(*state) == name)
    }
}
