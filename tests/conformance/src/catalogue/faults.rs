//! What is wrong with a catalogue: rules that hold for every object, those nobody has written yet included.

use super::{Catalogue, Function, Grant, Relation};

/// Something callers may do, looked at by a person.
#[derive(Debug, Clone, Copy)]
pub struct May {
    /// `anon` or `authenticated`.
    pub role: &'static str,
    /// `SELECT`, `INSERT`, `UPDATE`, `DELETE` or `EXECUTE`.
    pub verb: &'static str,
    /// A relation's name or a function's signature.
    pub on: &'static str,
    /// These columns only; empty for all of it.
    pub columns: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

impl May {
    /// Whether it lets a role do this to a whole object, or to one column of it.
    pub fn covers(&self, role: &str, verb: &str, on: &str, column: Option<&str>) -> bool {
        let is_column = self.columns.is_empty() || column.is_some_and(|column| self.columns.contains(&column));
        (self.role, self.verb, self.on) == (role, verb, on) && is_column
    }

    /// Whether the database has granted all of it.
    fn is_granted(&self, grants: &[Grant]) -> bool {
        let has = |column: Option<&str>| {
            grants.iter().any(|grant| {
                (grant.role.as_str(), grant.verb.as_str(), grant.on.as_str()) == (self.role, self.verb, self.on)
                    && grant.column.as_deref() == column
            })
        };
        if self.columns.is_empty() { has(None) } else { self.columns.iter().all(|column| has(Some(column))) }
    }
}

/// Everything that is wrong, each fault beginning with the object's name. `reviewed` is what callers may do, and
/// nothing else; `definers` are the functions that may run with their owner's rights.
pub fn faults(catalogue: &Catalogue, reviewed: &[May], definers: &[&str]) -> Vec<String> {
    let relations = catalogue.relations.iter().flat_map(|relation| {
        of_relation(relation).into_iter().map(|fault| format!("{}: {fault}", relation.name)).collect::<Vec<_>>()
    });
    let functions = catalogue.functions.iter().flat_map(|function| {
        let faults = of_function(function, definers).into_iter();
        faults.map(|fault| format!("{}: {fault}", function.signature)).collect::<Vec<_>>()
    });
    let grants = catalogue.grants.iter().filter(|grant| !is_reviewed(grant, reviewed)).map(|grant| {
        let column = grant.column.as_ref().map(|column| format!(" of the column {column}")).unwrap_or_default();
        format!("{}: {} may {}{column}, which nobody has reviewed", grant.on, grant.role, grant.verb)
    });
    let stale = reviewed.iter().filter(|may| !may.is_granted(&catalogue.grants));
    let stale = stale.map(|may| format!("{}: {} {} is reviewed and not granted", may.on, may.role, may.verb));
    let sampled = catalogue.relations.iter().filter(|relation| relation.is_table() && catalogue.is_personal(relation));
    let sampled = sampled.flat_map(|table| {
        table.sampled.iter().map(|what| {
            format!("{}: the planner takes samples of {what}, and PostgREST tells its guesses to everybody", table.name)
        })
    });
    relations
        .chain(sampled)
        .chain(functions)
        .chain(grants)
        .chain(stale)
        .chain(catalogue.powers.iter().cloned())
        .collect()
}

fn is_reviewed(grant: &Grant, reviewed: &[May]) -> bool {
    let Grant { role, verb, on, column } = grant;
    reviewed.iter().any(|may| may.covers(role, verb, on, column.as_deref()))
}

fn of_relation(relation: &Relation) -> Vec<&'static str> {
    let found: &[(bool, &str)] = match relation.kind.as_str() {
        "r" | "p" => &[
            (!relation.row_security, "row level security is off"),
            (!relation.forced, "row level security is not forced on its owner"),
            (relation.policies == 0, "it has no policy; even `using (false)` says that someone thought of it"),
            (!relation.public_policies.is_empty(), "a policy is for everybody; name the role"),
        ],
        "v" => &[(!relation.security_invoker, "it runs with its owner's rights; set security_invoker")],
        // Neither can have row level security: only grants protect it, and those are reviewed.
        "m" | "f" | "S" => &[],
        _ => &[(true, "it is of a kind these rules do not know")],
    };
    found.iter().filter_map(|(fault, text)| fault.then_some(*text)).collect()
}

fn of_function(function: &Function, definers: &[&str]) -> Vec<&'static str> {
    let definer = function.definer && !definers.contains(&function.signature.as_str());
    [
        (definer, "it runs with its owner's rights, which nobody has reviewed"),
        (!function.search_path, "its search_path is the caller's"),
    ]
    .into_iter()
    .filter_map(|(fault, text)| fault.then_some(text))
    .collect()
}
