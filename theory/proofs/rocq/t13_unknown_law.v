(* T13: guess or attend, if attending costs B guesses and nobody says how often one will be asked.

   After T guesses the first query that is attended to is the worst: it costs T/B + 1, and min((T+1)/B, 1) was needed. *)
From Coq Require Import QArith Qfield Qminmax Lqa.
Open Scope Q_scope.

Section Threshold.
Variable B : Q.
Hypothesis B_range : 1 <= B.
Definition paid (T : Q) := T / B + 1.
Definition needed (m : Q) := Qmin (m / B) 1.

(*| T13
   English: "Guessing B − 1 times and then attending costs at most 2 − 1/B times that, B whole, and no deterministic rule has a smaller factor"
   Python: "deterministic rule has a smaller factor"
   Scope: guessing T times, then attending, for any T ≥ 0 and the worst number of queries, T + 1. *)
Theorem no_threshold_below T : 0 <= T -> (2 - / B) * needed (T + 1) <= paid T.
Proof.
intro T0. unfold needed, paid. assert (i : 0 < / B) by (apply Qinv_lt_0_compat; lra).
assert (one : B * / B == 1) by (apply Qmult_inv_r; lra). unfold Qdiv.
destruct (Qlt_le_dec (T + 1) B) as [few|many].
- rewrite Q.min_l by nra.
  assert (g : 0 <= (B - 1) * (B - 1 - T) * (/ B * / B)).
  { apply Qmult_le_0_compat; [apply Qmult_le_0_compat; lra|apply Qmult_le_0_compat; lra]. }
  assert (e : T * / B + 1 - (2 - / B) * ((T + 1) * / B) == (B - 1) * (B - 1 - T) * (/ B * / B)) by (field; lra).
  lra.
- rewrite Q.min_r by nra. nra.
Qed.

(*| T13
   English: "Guessing B − 1 times and then attending costs at most 2 − 1/B times that"
   Python: "B − 1 times and then attending costs at most 2 − 1/B times what is needed for m queries of a pattern, min(m/B, 1)"
   Scope: m ≤ B − 1 queries, which are all guessed at, or m ≥ B, of which B − 1 are. *)
Theorem threshold_is_enough m : 0 <= m ->
  (m <= B - 1 -> m / B <= (2 - / B) * needed m) /\ (B <= m -> paid (B - 1) <= (2 - / B) * needed m).
Proof.
intro m0. unfold needed, paid, Qdiv. assert (i : 0 < / B) by (apply Qinv_lt_0_compat; lra).
assert (one : B * / B == 1) by (apply Qmult_inv_r; lra). split; intro many.
- rewrite Q.min_l by nra. assert (0 <= m * / B) by nra. assert (/ B <= 1) by nra. nra.
- rewrite Q.min_r by nra. assert (e : (B - 1) * / B == 1 - / B) by (field; lra). lra.
Qed.
End Threshold.
