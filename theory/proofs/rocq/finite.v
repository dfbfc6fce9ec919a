(* Finite probability: expectations as weighted sums, coins, independent draws. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Laws.
Variables (R : realFieldType) (Omega : finType).

(* Weights that are not negative and add up to one. *)
Definition is_law (P : Omega -> R) := (forall w, 0 <= P w) /\ \sum_w P w = 1.

Definition expect (P : Omega -> R) (X : Omega -> R) := \sum_w P w * X w.
Definition prob (P : Omega -> R) (A : pred Omega) := \sum_(w | A w) P w.

Variable P : Omega -> R.

Lemma prob_indicator A : prob P A = expect P (fun w => (A w)%:R).
Proof.
rewrite /prob big_mkcond; apply: eq_bigr => w _.
by case: (A w); rewrite ?mulr1 ?mulr0.
Qed.

Lemma eq_expect X Y : X =1 Y -> expect P X = expect P Y.
Proof. by move=> XY; apply: eq_bigr => w _; rewrite XY. Qed.

Lemma expectD X Y : expect P (fun w => X w + Y w) = expect P X + expect P Y.
Proof. by rewrite /expect -big_split; apply: eq_bigr => w _; rewrite mulrDr. Qed.

Lemma expectZ c X : expect P (fun w => c * X w) = c * expect P X.
Proof. by rewrite /expect mulr_sumr; apply: eq_bigr => w _; rewrite mulrCA. Qed.

Lemma expect_sum (I : finType) (X : I -> Omega -> R) :
  expect P (fun w => \sum_i X i w) = \sum_i expect P (X i).
Proof. by rewrite /expect exchange_big; apply: eq_bigr => w _; rewrite mulr_sumr. Qed.

(* The expected number of events is the sum of their probabilities. *)
Lemma expect_count (I : finType) (A : I -> pred Omega) :
  expect P (fun w => (\sum_i A i w)%N%:R) = \sum_i prob P (A i).
Proof.
under eq_expect do rewrite natr_sum.
by rewrite expect_sum; apply: eq_bigr => i _; rewrite prob_indicator.
Qed.

Lemma prob_split (A B : pred Omega) :
  prob P A = prob P (fun w => A w && B w) + prob P (fun w => A w && ~~ B w).
Proof. by rewrite /prob (bigID B). Qed.

Lemma prob_partition (T : finType) (f : Omega -> T) (A : pred Omega) :
  prob P A = \sum_k prob P (fun w => A w && (f w == k)).
Proof. by rewrite /prob (partition_big f predT). Qed.

Hypothesis law : is_law P.

Lemma expect_const c : expect P (fun=> c) = c.
Proof. by case: law => _ P1; rewrite /expect -mulr_suml P1 mul1r. Qed.

Lemma expect_complement X : expect P (fun w => 1 - X w) = 1 - expect P X.
Proof.
case: law => _ P1; rewrite -[in RHS]P1 /expect -sumrB.
by apply: eq_bigr => w _; rewrite mulrBr mulr1.
Qed.

Lemma ler_expect X Y : (forall w, X w <= Y w) -> expect P X <= expect P Y.
Proof. by case: law => P0 _ XY; apply: ler_sum => w _; rewrite ler_wpmul2l. Qed.
End Laws.

Section Products.
Variables (R : realFieldType) (Omega Omega' : finType) (P : Omega -> R) (Q : Omega' -> R).

(* Two independent draws. *)
Definition both (w : Omega * Omega') := P w.1 * Q w.2.

Lemma expect_both X : expect both X = expect P (fun w => expect Q (fun c => X (w, c))).
Proof.
rewrite /expect (eq_bigr (fun o => P o.1 * Q o.2 * X (o.1, o.2))); last by case.
rewrite -(pair_bigA _ (fun w c => P w * Q c * X (w, c))) /=.
by apply: eq_bigr => w _; rewrite mulr_sumr; apply: eq_bigr => c _; rewrite mulrA.
Qed.

Lemma both_law : is_law P -> is_law Q -> is_law both.
Proof.
move=> [P0 P1] [Q0 Q1]; split=> [w|]; first by rewrite mulr_ge0.
have -> : \sum_w both w = expect both (fun=> 1) by apply: eq_bigr => w _; rewrite mulr1.
by rewrite expect_both expect_const ?expect_const.
Qed.
End Products.

Section Coin.
Variable R : realFieldType.

(* A coin that shows true with probability p. *)
Definition coin (p : R) (side : bool) := if side then p else 1 - p.

Lemma coin_law p : 0 <= p <= 1 -> is_law (coin p).
Proof.
case/andP=> p0 p1; split=> [[]|]; rewrite /coin ?subr_ge0 //.
by rewrite big_bool /= addrC subrK.
Qed.
End Coin.

Section Independent.
Variables (R : realFieldType) (T : finType) (n : nat) (q : T -> R).
Hypothesis law : is_law q.

(* n independent draws from one law. *)
Definition iid (z : {ffun 'I_n -> T}) := \prod_i q (z i).

Lemma iid_law : is_law iid.
Proof.
case: law => q0 q1; split=> [z|]; first exact: prodr_ge0.
rewrite -(bigA_distr_bigA (fun (_ : 'I_n) y => q y)) (eq_bigr (fun=> 1)) ?big1_eq //.
Qed.

(* The chance that n draws all miss k. *)
Lemma iid_misses k : prob iid (fun z => [forall i, z i != k]) = (1 - q k) ^+ n.
Proof.
case: law => _ q1.
have <- : \sum_(y | y != k) q y = 1 - q k.
  by rewrite -q1 [in RHS](bigD1 k) //= addrAC subrr add0r.
rewrite -[X in _ ^+ X]card_ord -prodr_const bigA_distr_big.
by apply: eq_bigl => z; apply/forallP/ffun_onP => h i; exact: h.
Qed.
End Independent.
