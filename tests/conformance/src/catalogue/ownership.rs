//! Whose a row is: found by following foreign keys to `auth.users`.

use serde_json::Value;
use tokio_postgres::GenericClient;
use uuid::Uuid;

use super::{Catalogue, Relation};

impl Catalogue {
    /// Every row of a person in every table, and every row of the tables that are nobody's, by table.
    pub async fn rows_of(&self, client: &impl GenericClient, person: Uuid) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        for table in self.relations.iter().filter(|relation| relation.is_table()) {
            let owned = self.owned(table, person).unwrap_or_else(|| "true".to_owned());
            let query = format!(
                "select coalesce(jsonb_agg(to_jsonb(t) order by to_jsonb(t)::text), '[]') from public.{:?} t where {owned}",
                table.name
            );
            let rows = client.query_one(&query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
            all.push((table.name.clone(), rows.get(0)));
        }
        all
    }

    /// Whether rows of a table belong to people.
    pub fn is_personal(&self, table: &Relation) -> bool {
        self.owned(table, Uuid::nil()).is_some()
    }

    /// The part of a table's key that refers to nothing else: a new value there makes a new row of the same parent.
    pub fn own_key(&self, table: &Relation) -> Vec<String> {
        let refers = |column: &&String| {
            self.references.iter().any(|reference| reference.table == table.name && reference.columns.contains(column))
        };
        table.key.iter().filter(|column| !refers(column)).cloned().collect()
    }

    /// The condition that a row is this person's; none for a table whose rows are nobody's.
    fn owned(&self, table: &Relation, person: Uuid) -> Option<String> {
        self.owned_unless(&table.name, person, &mut Vec::new()).or_else(|| {
            // By the contract's convention, where a row outlives the person it refers to and has no foreign key.
            table.columns.iter().any(|column| column == "user_id").then(|| format!("user_id = '{person}'"))
        })
    }

    fn owned_unless(&self, table: &str, person: Uuid, seen: &mut Vec<String>) -> Option<String> {
        if seen.iter().any(|known| known == table) {
            return None;
        }
        seen.push(table.to_owned());
        let mut ways = Vec::new();
        for reference in self.references.iter().filter(|reference| reference.table == table) {
            let columns = quoted(&reference.columns);
            if reference.to == "auth.users" {
                ways.push(format!("({columns}) = ('{person}'::uuid)"));
            } else if let Some(parent) = reference.to.strip_prefix("public.")
                && let Some(owned) = self.owned_unless(parent, person, seen)
            {
                let to = quoted(&reference.to_columns);
                ways.push(format!("({columns}) in (select {to} from public.{parent:?} where {owned})"));
            }
        }
        seen.pop();
        (!ways.is_empty()).then(|| ways.join(" or "))
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
