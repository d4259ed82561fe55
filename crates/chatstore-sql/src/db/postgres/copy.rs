//! Many new rows at once, by `COPY`.

use std::pin::pin;

use tokio_postgres::binary_copy::BinaryCopyInWriter;

use crate::db::Value;

/// Fewer rows are inserted one by one, which takes fewer messages there and back.
pub(super) const COPY_ROWS: usize = 64;

/// The statement that copies the rows that an insert of one row inserts; none for an insert that does more.
pub(super) fn copy_of(insert: &str) -> Option<String> {
    let (into, values) = insert.strip_prefix("insert into ")?.split_once(" values (")?;
    let values = values.strip_suffix(')')?;
    let mut parameters = (1..).map(|number: usize| format!("${number}"));
    let is_plain =
        values.split(", ").all(|value| parameters.next().is_some_and(|parameter| value == parameter));
    is_plain.then(|| format!("copy {into} from stdin (format binary)"))
}

/// Copies rows, whose values have the types that the insert wants.
pub(super) async fn copy(
    transaction: &deadpool_postgres::Transaction<'_>,
    insert: &str,
    copy: &str,
    rows: Vec<Vec<Value<'_>>>,
) -> Result<(), tokio_postgres::Error> {
    let insert = transaction.prepare_cached(insert).await?;
    let copy = transaction.prepare_cached(copy).await?;
    let sink = transaction.copy_in(&copy).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, insert.params()));
    for values in &rows {
        writer.as_mut().write_raw(values.iter()).await?;
    }
    writer.finish().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::copy_of;

    #[test]
    fn an_insert_of_parameters_alone_can_be_copied() {
        let copied = copy_of("insert into messages (owner_id, seq) values ($1, $2)");
        assert_eq!(copied.as_deref(), Some("copy messages (owner_id, seq) from stdin (format binary)"));
        for insert in [
            "insert into messages (owner_id, seq) values ($1, 7)",
            "insert into messages (owner_id, seq) values ($1, $1)",
            "insert into messages (owner_id, seq) values ($1, $2) on conflict do nothing",
            "insert into messages (owner_id) select $1",
            "update messages set seq = $1",
        ] {
            assert_eq!(copy_of(insert), None, "{insert}");
        }
    }
}
