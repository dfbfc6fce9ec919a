(* T5: what a static router with memory pays for one pattern.

   J m r is the cost of m queries at the rate r: attention m r, and (1 - r)^j at the j-th query, the chance that it
   was never attended to. Classical real numbers: the three axioms of the standard library. *)
From Coq Require Import Reals Lra Lia Psatz.
Open Scope R_scope.

(* The sum of q^j over j = 1, ..., m. *)
Fixpoint powers (m : nat) (q : R) : R := match m with O => 0 | S n => powers n q + q ^ S n end.
Definition J (m : nat) (r : R) := INR m * r + powers m (1 - r).

Lemma powers_closed m r : r * powers m (1 - r) = (1 - r) * (1 - (1 - r) ^ m).
Proof. induction m as [|m IH]; simpl; [ring|]. rewrite Rmult_plus_distr_l, IH. simpl. ring. Qed.

Lemma pow_range r j : 0 <= r <= 1 -> 0 <= (1 - r) ^ j <= 1.
Proof. intros [r0 r1]. induction j as [|j IH]; simpl; nra. Qed.

(* The upper limit: attend at the rate 1/sqrt m. *)
Lemma at_root m : (1 <= m)%nat -> J m (/ sqrt (INR m)) <= 2 * sqrt (INR m) - 1.
Proof.
intros m1. assert (mR : 1 <= INR m) by (apply (le_INR 1); exact m1).
set (s := sqrt (INR m)).
assert (s1 : 1 <= s) by (unfold s; rewrite <- sqrt_1; apply sqrt_le_1; lra).
assert (ss : s * s = INR m) by (apply sqrt_sqrt; lra).
assert (is : 0 < / s <= 1).
{ split; [apply Rinv_0_lt_compat; lra|]. rewrite <- Rinv_1. apply Rinv_le_contravar; lra. }
assert (p : 0 <= (1 - / s) ^ m) by (apply pow_range; lra).
assert (g : powers m (1 - / s) = (s - 1) * (1 - (1 - / s) ^ m)).
{ apply Rmult_eq_reg_l with (/ s); [|lra]. rewrite powers_closed.
  replace (1 - / s) with (/ s * (s - 1)) at 1 by (field; lra). ring. }
unfold J. rewrite <- ss, g. replace (s * s * / s) with s by (field; lra). nra.
Qed.

(* Bernoulli's inequality, in both directions. *)
Lemma bernoulli_below r j : 0 <= r <= 1 -> 1 - INR j * r <= (1 - r) ^ j.
Proof.
intros r01. induction j as [|j IH]; [simpl; lra|].
rewrite S_INR. simpl pow. assert (q := pow_range r j r01). nra.
Qed.

Lemma bernoulli_above r m : 0 <= r <= 1 -> (1 - r) ^ m * (1 + INR m * r) <= 1.
Proof.
intros [r0 r1]. induction m as [|m IH]; [simpl; lra|].
rewrite S_INR. simpl pow. assert (q := pow_range r m (conj r0 r1)). assert (mR := pos_INR m).
assert ((1 - r) * (1 + (INR m + 1) * r) <= 1 + INR m * r) by nra.
apply Rle_trans with ((1 - r) ^ m * (1 + INR m * r)); [|exact IH].
replace ((1 - r) * (1 - r) ^ m * (1 + (INR m + 1) * r)) with ((1 - r) ^ m * ((1 - r) * (1 + (INR m + 1) * r))) by ring.
apply Rmult_le_compat_l; lra.
Qed.

(* The second lower limit. *)
Lemma above_root m r : 0 <= r <= 1 -> 2 * sqrt (INR m + 1) - 2 <= J m r.
Proof.
intros [r0 r1]. assert (mR := pos_INR m). set (s := sqrt (INR m + 1)).
assert (ss : s * s = INR m + 1) by (apply sqrt_sqrt; lra).
assert (s0 : 0 <= s) by apply sqrt_pos.
destruct (Req_dec r 0) as [rz|rnz].
{ assert (e : powers m (1 - r) = INR m).
  { rewrite rz. clear. induction m as [|m IH]; [reflexivity|]. simpl powers. rewrite IH, S_INR.
    replace (1 - 0) with 1 by ring. rewrite pow1. ring. }
  unfold J. rewrite e, rz. nra. }
assert (B := bernoulli_above r m (conj r0 r1)). assert (c := powers_closed m r).
set (y := 1 + INR m * r) in *. assert (y1 : 1 <= y) by (unfold y; nra).
assert (g : (1 - r) * INR m <= powers m (1 - r) * y).
{ apply Rmult_le_reg_l with r; [lra|].
  replace (r * (powers m (1 - r) * y)) with ((r * powers m (1 - r)) * y) by ring. rewrite c.
  assert ((1 - r) * ((1 - r) ^ m * y) <= (1 - r) * 1) by (apply Rmult_le_compat_l; lra).
  unfold y in *; nra. }
unfold J. apply Rmult_le_reg_r with y; [lra|].
apply Rle_trans with (INR m * r * y + (1 - r) * INR m); [|nra].
replace (INR m * r) with (y - 1) by (unfold y; ring).
replace ((1 - r) * INR m) with (INR m - (y - 1)) by (unfold y; ring).
assert (0 <= (y - s) * (y - s)) by apply Rle_0_sqr. nra.
Qed.

(* The first lower limit. The sum is at least its first L terms, each at least 1 - j r. *)
Lemma powers_grow q m n : 0 <= q -> (m <= n)%nat -> powers m q <= powers n q.
Proof.
intros q0 mn. induction mn as [|n mn IH]; [lra|]. simpl powers.
assert (0 <= q ^ S n) by (apply pow_le; exact q0). simpl in *. lra.
Qed.

Lemma powers_below r l : 0 <= r <= 1 -> INR l - r * (INR l * (INR l + 1) / 2) <= powers l (1 - r).
Proof.
intros r01. induction l as [|l IH]; [simpl; lra|].
assert (b := bernoulli_below r (S l) r01). rewrite S_INR in *. simpl powers. simpl pow in *. lra.
Qed.

(* The largest L with L (L + 1)/2 <= m. *)
Lemma triangular m : exists l, (l * (l + 1) <= 2 * m < (l + 1) * (l + 2))%nat.
Proof.
induction m as [|m [l [low high]]]; [exists O; lia|].
destruct (Nat.lt_ge_cases (2 * S m) ((l + 1) * (l + 2))) as [below|above]; [exists l; lia|exists (S l); lia].
Qed.

Lemma above_triangular m r : 0 <= r <= 1 -> sqrt (2 * INR m) - / 2 <= J m r.
Proof.
intros r01. destruct (triangular m) as [l [low high]].
assert (lowR : INR l * (INR l + 1) <= 2 * INR m).
{ replace (INR l + 1) with (INR (l + 1)) by (rewrite plus_INR; simpl; ring).
  replace 2 with (INR 2) by (simpl; ring). rewrite <- !mult_INR. apply le_INR. lia. }
assert (highR : 2 * INR m <= (INR l + 1) * (INR l + 2)).
{ replace (INR l + 1) with (INR (l + 1)) by (rewrite plus_INR; simpl; ring).
  replace (INR l + 2) with (INR (l + 2)) by (rewrite plus_INR; simpl; ring).
  replace 2 with (INR 2) by (simpl; ring). rewrite <- !mult_INR. apply le_INR. lia. }
assert (l0 := pos_INR l).
(* the part of the next term that makes the budget m exactly *)
set (part := (INR m - INR l * (INR l + 1) / 2) / (INR l + 1)).
assert (mpart : INR m = INR l * (INR l + 1) / 2 + part * (INR l + 1)) by (unfold part; field; lra).
assert (p01 : 0 <= part <= 1) by nra.
assert (root : sqrt (2 * INR m) <= INR l + part + / 2).
{ apply Rsqr_incr_0_var; [|lra]. rewrite Rsqr_sqrt by nra. unfold Rsqr.
  assert (0 <= (/ 2 - part) * (/ 2 - part)) by apply Rle_0_sqr. nra. }
assert (b := powers_below r l r01).
assert (sum : powers l (1 - r) + part * (1 - (INR l + 1) * r) <= powers m (1 - r)).
{ destruct (Nat.lt_ge_cases l m) as [more|enough].
  - apply Rle_trans with (powers (S l) (1 - r)); [|apply powers_grow; [lra|lia]].
    assert (t := bernoulli_below r (S l) r01). assert (q := pow_range r (S l) r01).
    rewrite S_INR in t. simpl powers. simpl pow in *. nra.
  - assert (z : part = 0).
    { assert (mR := pos_INR m). assert (INR m <= INR l) by (apply le_INR; exact enough).
      destruct l as [|l]; [|destruct l as [|l]].
      + assert (m = O) by lia. subst m. simpl in *. nra.
      + assert (m = 1%nat) by lia. subst m. simpl in *. nra.
      + rewrite !S_INR in *. assert (i := pos_INR l). nra. }
    rewrite z, Rmult_0_l, Rplus_0_r. apply powers_grow; [lra|].
    destruct l as [|l]; [lia|]. destruct l as [|l]; lia. }
unfold J. nra.
Qed.

(*| T5
   English: "For m ≥ 1: max(√(2m) − 1/2, 2√(m+1) − 2) ≤ min_ρ J(m, ρ) ≤ 2√m − 1"
   Python: "max(√(2m) − 1/2, 2√(m+1) − 2) ≤ min_ρ J(m, ρ) ≤ 2√m − 1"
   Scope: J as the formula; that it is the cost of the router is left to prose. *)
Theorem limits m : (1 <= m)%nat ->
  (forall r, 0 <= r <= 1 -> Rmax (sqrt (2 * INR m) - / 2) (2 * sqrt (INR m + 1) - 2) <= J m r)
  /\ (exists r, 0 <= r <= 1 /\ J m r <= 2 * sqrt (INR m) - 1).
Proof.
intros m1. split.
- intros r r01. apply Rmax_lub; [apply above_triangular|apply above_root]; exact r01.
- exists (/ sqrt (INR m)). split; [|apply at_root; exact m1].
  assert (mR : 1 <= INR m) by (apply (le_INR 1); exact m1).
  assert (s1 : 1 <= sqrt (INR m)) by (rewrite <- sqrt_1; apply sqrt_le_1; lra).
  split; [left; apply Rinv_0_lt_compat; lra|]. rewrite <- Rinv_1. apply Rinv_le_contravar; lra.
Qed.
