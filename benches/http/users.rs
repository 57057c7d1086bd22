//! Those who are in rosters.

const ROLES: [&str; 3] = ["Presenter", "Attendee", "Consumer"];

/// Stands for the digits of a group, for pgbench to put others in its place.
pub const ANY_GROUP: &str = "NNN";
/// Those of this group are in every room from the beginning.
pub const FIRST_GROUP: &str = "000";

/// So many members of a group, each by a raw id and a role. A group has three digits.
pub fn members(group: &str, count: usize) -> impl Iterator<Item = (String, &'static str)> {
    (0..count).map(move |number| {
        let id = format!("8:acs:11111111-2222-3333-4444-555555555555_00000{group}-0000-4000-8000-{number:012}");
        (id, ROLES[number % ROLES.len()])
    })
}

/// The ids and the roles as Postgres writes arrays.
pub fn arrays(group: &str, count: usize) -> (String, String) {
    let (ids, roles): (Vec<String>, Vec<&str>) = members(group, count).unzip();
    (format!("{{{}}}", ids.join(",")), format!("{{{}}}", roles.join(",")))
}

/// The body of a create or of a patch.
pub fn body(group: &str, count: usize) -> String {
    if count == 0 {
        return "{}".to_owned();
    }
    let members = members(group, count).map(|(id, role)| format!(r#""{id}":{{"role":"{role}"}}"#));
    format!(r#"{{"participants":{{{}}}}}"#, members.collect::<Vec<_>>().join(","))
}
