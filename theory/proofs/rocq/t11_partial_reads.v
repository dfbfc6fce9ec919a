(* T11: a reader to whom all rows are equally likely to hold the value reads half of them.

   A law of the number j of rows after which it gives up is a list of weights and j; it reads j - j(j-1)/(2K) rows on average
   and finds the value with chance j/K. *)
From Coq Require Import QArith Qfield Lqa List.
Import ListNotations.
Open Scope Q_scope.

Section Search.
Variable K : Q.
Hypothesis K_positive : 0 < K.
Definition reads (j : Q) := j - j * (j - 1) / (2 * K).
Definition found (j : Q) := j / K.
Fixpoint mean (X : Q -> Q) (law : list (Q * Q)) : Q :=
  match law with [] => 0 | (w, j) :: rest => w * X j + mean X rest end.

Lemma above_the_chord j : 0 <= j <= K -> found j * ((K + 1) / 2) <= reads j.
Proof.
intros [j0 jK]. unfold found, reads.
assert (e : j - j * (j - 1) / (2 * K) == j / K * ((K + 1) / 2) + j * (K - j) * / (2 * K)) by (field; lra).
rewrite e. assert (i : 0 < / (2 * K)) by (apply Qinv_lt_0_compat; lra).
assert (0 <= j * (K - j)) by nra. assert (0 <= j * (K - j) * / (2 * K)) by nra. lra.
Qed.

(*| T11
   English: "This exceeds the chord (j/K)(K+1)/2 by j(K−j)/(2K) ≥ 0"
   Python: "E[rows read] ≥ (1 − δV/(V−1))·(K+1)/2"
   Scope: any finite law of the row after which the reader gives up; that P(found) ≥ 1 − δV/(V−1) is T1. *)
Theorem half_of_the_rows law : (forall w j, In (w, j) law -> 0 <= w /\ 0 <= j <= K) ->
  mean found law * ((K + 1) / 2) <= mean reads law.
Proof.
induction law as [|[w j] rest IH]; simpl; intro range; [lra|].
destruct (range w j (or_introl eq_refl)) as [w0 jK].
assert (r := IH (fun w' j' i => range w' j' (or_intror i))). assert (c := above_the_chord j jK). nra.
Qed.
End Search.
