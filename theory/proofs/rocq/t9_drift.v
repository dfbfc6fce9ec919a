(* T9: where values are redrawn, the cost is linear again.

   An epoch of a pattern ends where its value is redrawn. With the times of redraws fixed, pairs of a pattern and an
   epoch are patterns themselves, with independent values. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Cogfit Require Import finite t3_compulsory.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.

Section Drift.
Variables (R : realFieldType) (Omega K Epoch V : finType) (P : Omega -> R) (labels : bool).
Hypothesis V2 : 1 < #|V|.
Hypothesis law : is_law P.

(* Queries with their epochs: the redraws are part of what is drawn from P, the learner does not see epochs. *)
Variable z : Omega -> seq (K * Epoch).
Variables (attend : Omega -> history K V -> K -> bool) (guess : Omega -> history K V -> K -> V).

Definition forget (h : history [finType of K * Epoch] V) : history K V := [seq (e.1.1.1, e.1.2, e.2) | e <- h].
Definition attend_blindly o h (k : K * Epoch) := attend o (forget h) k.1.
Definition guess_blindly o h (k : K * Epoch) := guess o (forget h) k.1.

(*| T9
   English: "E[Att] + V/(V−1)·E[Err] ≥ E[number of pairs of a pattern and an epoch that are queried]"
   Python: "E[Att] + V/(V−1)·E[Err] ≥ E[number of pairs of a pattern and an epoch that are queried]"
   Scope: redraws, queries, coins of any finite law that is independent of the values; learners that do not see redraws. *)
Theorem drift_unseen :
  (distinct P z <= mean P (Att_all labels attend_blindly z)
    + price R V * mean P (Err_all labels attend_blindly guess_blindly z))%R.
Proof. exact: total_cost. Qed.
End Drift.
