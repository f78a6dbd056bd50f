//! Puts what was found in the order of a reranker's scores.

/// Orders items, best first, by their scores: those that have one share out their places among
/// themselves, the best score first and equal ones as they were; the others stay in theirs. What
/// `rank` names, the score of an item in the old order, stays with the place, so that it still
/// falls from the first to the last.
pub fn reranked<T>(
    mut items: Vec<T>,
    scores: &[Option<f32>],
    rank: fn(&mut T) -> &mut f64,
) -> Vec<T> {
    debug_assert_eq!(items.len(), scores.len());
    let places: Vec<usize> = (0..items.len()).filter(|at| scores[*at].is_some()).collect();
    let mut sorted = places.clone();
    sorted
        .sort_by(|a, b| scores[*b].unwrap_or_default().total_cmp(&scores[*a].unwrap_or_default()));
    let mut from: Vec<usize> = (0..items.len()).collect();
    places.iter().zip(&sorted).for_each(|(place, best)| from[*place] = *best);
    let ranks: Vec<f64> = items.iter_mut().map(|item| *rank(item)).collect();
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let moved = from.iter().zip(ranks).map(|(from, of_place)| {
        let mut item = items[*from].take().expect("each is moved once");
        *rank(&mut item) = of_place;
        item
    });
    moved.collect()
}
