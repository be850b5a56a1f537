//! What `#[action]` makes of functions, called through the public API.

use dotflow::{Action, PreviousContext, TaskContext, action};

#[derive(Debug, thiserror::Error)]
#[error("no such table: {0}")]
struct LoadError(String);

#[action]
fn extract() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
async fn transform(previous: PreviousContext<Vec<u32>>) -> u32 {
    previous.iter().sum()
}

fn is_transient(error: &LoadError) -> bool {
    error.0 != "nowhere"
}

/// Loads.
#[action(
    retry = 3,
    retry_delay = "500ms",
    backoff,
    max_delay = "1m",
    jitter,
    retry_if = is_transient,
    timeout = 30,
    name = "load it"
)]
async fn load(
    table: String,
    previous: PreviousContext<u32>,
    task: TaskContext,
) -> Result<String, LoadError> {
    if table == "nowhere" {
        return Err(LoadError(table));
    }
    Ok(format!("{table}: {} at {}", *previous, task.attempt()))
}

#[action(inline)]
fn merge<T: Clone + Send + Sync + 'static, const N: usize>(
    (first, second): (T, T),
    rest: Option<PreviousContext<T>>,
    all: Vec<PreviousContext<T>>,
) -> std::io::Result<[Vec<T>; N]>
where
    T: std::fmt::Debug,
{
    let mut merged = vec![first, second];
    merged.extend(rest.map(PreviousContext::into_inner));
    merged.extend(all.into_iter().map(PreviousContext::into_inner));
    Ok(std::array::from_fn(|_| merged.clone()))
}

#[tokio::test]
async fn run() {
    assert_eq!(extract().run(()).await.unwrap(), [3, 5, 8]);
    assert_eq!(transform().run((vec![3, 5, 8].into(),)).await.unwrap(), 16);
    let load = load("sales".into());
    assert_eq!(load.run((16.into(),)).await.unwrap(), "sales: 16 at 1");
    assert_eq!(load.spec().name(), "load it");
    let merged = merge::<_, 2>((1, 2))
        .run((None, vec![3.into()]))
        .await
        .unwrap();
    assert_eq!(merged, [[1, 2, 3], [1, 2, 3]]);
}
