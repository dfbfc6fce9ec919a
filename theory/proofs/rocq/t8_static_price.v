(* T8: what a static router pays for one pattern among independent queries.

   cost n p r is the cost of n queries that each ask for the pattern with chance p, at the rate r. Classical real numbers, as
   in T5. *)
From Coq Require Import Reals Lra Psatz.
From Cogfit Require Import t5_static_routers.
Open Scope R_scope.

Section Pattern.
Variables (n : nat) (p : R).
Hypothesis p_range : 0 <= p <= 1.
Let x := INR n * p.
Definition cost (r : R) := r * x + (1 - r) / r * (1 - (1 - r * p) ^ n).

Lemma x_ge0 : 0 <= x.
Proof. unfold x. assert (i := pos_INR n). nra. Qed.

Lemma cost_above r : 0 < r <= 1 -> 2 * sqrt (x + 1) - 2 <= cost r.
Proof.
intros [r0 r1]. assert (x0 := x_ge0). set (s := sqrt (x + 1)).
assert (ss : s * s = x + 1) by (apply sqrt_sqrt; lra).
assert (b := bernoulli_above (r * p) n ltac:(nra)).
set (left := (1 - r * p) ^ n) in *. set (y := 1 + r * x).
assert (y1 : 1 <= y) by (unfold y; nra).
assert (seen : r * x <= (1 - left) * y).
{ replace (INR n * (r * p)) with (r * x) in b by (unfold x; ring). fold y in b. unfold y in *. nra. }
unfold cost. fold left. apply Rmult_le_reg_r with y; [lra|].
apply Rle_trans with (r * x * y + (1 - r) * x).
- replace (r * x) with (y - 1) by (unfold y; ring).
  replace ((1 - r) * x) with (x - (y - 1)) by (unfold y; ring).
  assert (0 <= (y - s) * (y - s)) by apply Rle_0_sqr. nra.
- replace ((r * x + (1 - r) / r * (1 - left)) * y) with (r * x * y + (1 - r) / r * ((1 - left) * y)) by (field; lra).
  replace ((1 - r) * x) with ((1 - r) / r * (r * x)) by (field; lra).
  apply Rplus_le_compat_l. apply Rmult_le_compat_l; [|exact seen].
  apply Rmult_le_pos; [lra|]. left. apply Rinv_0_lt_compat. exact r0.
Qed.

Lemma left_range r : 0 < r <= 1 -> 0 <= (1 - r * p) ^ n.
Proof. intros [r0 r1]. apply pow_le. nra. Qed.

(*| T8
   English: "so as in T5 c_N ≥ 2√(x+1) − 2, and the same for c. At ρ = 1 the cost is x; at ρ = x^{−1/2}, if x ≥ 1, it is at most 2√x − 1"
   Python: "the limits 2√(x+1) − 2 and 2√x − 1 of one pattern"
   Scope: binomial counts; the cost as the formula. The sums over Zipf frequencies are left to prose. *)
Theorem pattern_limits :
  (forall r, 0 < r <= 1 -> 2 * sqrt (x + 1) - 2 <= cost r)
  /\ cost 1 = x
  /\ (1 <= x -> exists r, 0 < r <= 1 /\ cost r <= 2 * sqrt x - 1).
Proof.
split; [exact cost_above|]. split; [unfold cost; field|].
intros x1. set (s := sqrt x).
assert (s1 : 1 <= s) by (unfold s; rewrite <- sqrt_1; apply sqrt_le_1; lra).
assert (ss : s * s = x) by (apply sqrt_sqrt; lra).
assert (is : 0 < / s <= 1).
{ split; [apply Rinv_0_lt_compat; lra|]. rewrite <- Rinv_1. apply Rinv_le_contravar; lra. }
exists (/ s). split; [exact is|]. assert (l := left_range (/ s) is). unfold cost. rewrite <- ss.
replace (/ s * (s * s)) with s by (field; lra). replace ((1 - / s) / / s) with (s - 1) by (field; lra).
assert (0 <= (s - 1) * (1 - / s * p) ^ n) by (apply Rmult_le_pos; lra). nra.
Qed.
End Pattern.
