(* T6: an average of patterns that consolidate independently is never sharper than one of them.

   y is the logarithm of the number of queries, h y = S(exp y) the share left of one pattern, and h' its inverse. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Cogfit Require Import finite.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* Jensen's inequality for finitely many points of a convex set D. *)
Section Jensen.
Variables (R : realFieldType) (D : pred R) (f : R -> R).
Definition mix (t p q : R) := t * p + (1 - t) * q.
Definition convex_set := forall t p q, 0 <= t <= 1 -> D p -> D q -> D (mix t p q).
Definition convex_on := forall t p q, 0 <= t <= 1 -> D p -> D q -> f (mix t p q) <= mix t (f p) (f q).
Hypothesis convex_D : convex_set.
Hypothesis convex_f : convex_on.

Variables (I : eqType) (w x : I -> R).
Hypothesis w_ge0 : forall i, 0 <= w i.
Hypothesis x_in : forall i, D (x i).

Lemma jensen_seq (s : seq I) (total := \sum_(i <- s) w i) (mean := (\sum_(i <- s) w i * x i) / total) :
  0 < total -> D mean /\ total * f mean <= \sum_(i <- s) w i * f (x i).
Proof.
rewrite {}/mean {}/total; elim: s => [|i s IH]; first by rewrite big_nil ltxx.
rewrite !big_cons; set W := \sum_(j <- s) w j; set X := \sum_(j <- s) w j * x j.
move=> total_gt0; have W_ge0 : 0 <= W by apply: sumr_ge0.
have [W_gt0|W_le0] := ltrP 0 W; last first.
  have none j : j \in s -> w j = 0.
    move=> js; apply/eqP; rewrite eq_le w_ge0 andbT; apply: le_trans W_le0.
    by rewrite /W (big_rem j) //= ler_addl sumr_ge0.
  have zero (F : I -> R) : \sum_(j <- s) w j * F j = 0.
    by rewrite big1_seq // => j /andP[_ js]; rewrite none ?mul0r.
  have W0 : W = 0 by apply/eqP; rewrite eq_le W_ge0 W_le0.
  move: total_gt0; rewrite W0 addr0 => wi; rewrite /X !zero !addr0 mulrAC divff ?mul1r ?gt_eqF //.
have [DX low] := IH W_gt0; pose t := w i / (w i + W).
have t01 : 0 <= t <= 1.
  by rewrite divr_ge0 ?(ltW total_gt0) //= ler_pdivr_mulr // mul1r ler_addl.
have rest : 1 - t = W / (w i + W).
  by apply: (mulIf (lt0r_neq0 total_gt0)); rewrite mulrBl !divfK ?gt_eqF // mul1r addrC addKr.
have mixed : (w i * x i + X) / (w i + W) = mix t (x i) (X / W).
  rewrite /mix rest mulrDl; congr (_ + _); first by rewrite mulrAC.
  by rewrite [RHS]mulrC mulrA divfK ?gt_eqF.
rewrite mixed; split; first exact: convex_D.
apply: (@le_trans _ _ ((w i + W) * mix t (f (x i)) (f (X / W)))).
  by rewrite ler_pmul2l //; exact: convex_f.
have cancel u v : (w i + W) * (u / (w i + W) * v) = u * v by rewrite mulrA [_ * (u / _)]mulrC divfK ?gt_eqF.
by rewrite /mix rest /t mulrDr !cancel ler_add2l.
Qed.
End Jensen.

Section Sharpness.
Variables (R : realFieldType) (h h' : R -> R).
Definition level (q : R) := 0 < q < 1.
Hypothesis h_level : forall y, level (h y).
Hypothesis h_falls : forall y z, (h y <= h z) = (z <= y).
Hypothesis h'K : forall q, level q -> h (h' q) = q.

(* What one pattern at level q becomes after a factor exp d: convex, by log-concavity. *)
Definition later d q := h (h' q + d).
Hypothesis later_convex : forall d, 0 < d -> convex_on level (later d).

(* Patterns of log-frequencies c i, in shares w i. *)
Variables (I : finType) (w c : I -> R).
Hypothesis law : is_law w.
Definition average y := expect w (fun i => h (y + c i)).

Lemma levels_convex : convex_set level.
Proof.
move=> t p q /andP[t0 t1] /andP[p0 p1] /andP[q0 q1]; rewrite /level /mix; apply/andP; split.
  have [t_gt0|t_le0] := ltrP 0 t; first by rewrite ltr_spaddl ?mulr_gt0 // mulr_ge0 ?subr_ge0 // ltW.
  have -> : t = 0 by apply/eqP; rewrite eq_le t0 t_le0.
  by rewrite mul0r add0r subr0 mul1r.
have [t_gt0|t_le0] := ltrP 0 t.
  have -> : t * p + (1 - t) * q < 1 = (t * p + (1 - t) * q < t * 1 + (1 - t) * 1) by rewrite !mulr1 [t + _]addrC subrK.
  by apply: ltr_le_add; rewrite ?ltr_pmul2l //; apply: ler_wpmul2l; rewrite ?subr_ge0 // ltW.
have -> : t = 0 by apply/eqP; rewrite eq_le t0 t_le0.
by rewrite mul0r add0r subr0 mul1r.
Qed.

Lemma h_inj : injective h.
Proof. by move=> y z e; apply/eqP; rewrite eq_le -[y <= z]h_falls -[z <= y]h_falls e lexx. Qed.

Lemma hK y : h' (h y) = y.
Proof. by apply: h_inj; rewrite h'K. Qed.

Lemma average_falls y z : y < z -> average z < average y.
Proof.
move=> yz; case: law => w_ge0 total; rewrite lt_neqAle; apply/andP; split; last first.
  by apply: ler_expect => // i; rewrite h_falls ler_add2r ltW.
have gap i : 0 < h (y + c i) - h (z + c i).
  by rewrite subr_gt0 ltNge h_falls -ltNge ltr_add2r.
apply/eqP => same; have zero : \sum_i w i * (h (y + c i) - h (z + c i)) = 0.
  transitivity (average y - average z); last by rewrite same subrr.
  by rewrite /average /expect -sumrB; apply: eq_bigr => i _; rewrite mulrBr.
have := psumr_eq0P (fun i _ => mulr_ge0 (w_ge0 i) (ltW (gap i))) zero => none.
move: total; rewrite big1 => [/eqP|i _]; first by rewrite eq_sym oner_eq0.
by move/eqP: (none i isT); rewrite mulf_eq0 (gt_eqF (gap i)) orbF => /eqP.
Qed.

(*| T6
   English: "So u(e^d·N) = E[T_d(h(log N + log P))] ≥ T_d(E[h(log N + log P)]) = T_d(u(N)) (Jensen)"
   Python: "N(b)/N(a) ≥ S⁻¹(b)/S⁻¹(a)"
   Scope: finitely many patterns; "T_d is convex" is a hypothesis here. *)
Theorem never_sharper a b ya yb : level a -> level b -> b < a ->
  average ya = a -> average yb = b -> h' b - h' a <= yb - ya.
Proof.
move=> la lb ba ua ub; set d := h' b - h' a; case: (law) => w_ge0 total.
have total_gt0 : 0 < \sum_i w i by rewrite total ltr01.
have d_gt0 : 0 < d.
  by rewrite subr_gt0 ltNge -h_falls !h'K // -ltNge.
suff late : b <= average (ya + d).
  rewrite ler_subr_addl leNgt; apply/negP => early; move: late; rewrite -ub leNgt => /negP; apply.
  exact: average_falls.
have [_] := jensen_seq levels_convex (later_convex d_gt0) w_ge0 (fun i => h_level (ya + c i)) total_gt0.
rewrite total mul1r divr1 -/(expect w (fun i => h (ya + c i))) -/(average ya) ua {1}/later /d addrC subrK h'K //.
move/le_trans; apply; rewrite le_eqVlt; apply/orP; left; apply/eqP; apply: eq_bigr => i _.
by rewrite /later hK addrAC.
Qed.
End Sharpness.

(* One exposure is enough, binomial counts: the share left of a pattern of frequency p is (1 - p)^N. *)
Section OneExposure.
Variables (R : realFieldType) (I : finType) (w x : I -> R).
Hypothesis law : is_law w.
Hypothesis x_ge0 : forall i, 0 <= x i.

Lemma exchange_expect (F : I -> I -> R) :
  expect w (fun i => expect w (F i)) = expect w (fun i => expect w (fun j => F j i)).
Proof.
rewrite /expect; under eq_bigr do rewrite mulr_sumr; under [RHS]eq_bigr do rewrite mulr_sumr.
by rewrite exchange_big; apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite mulrCA.
Qed.

(* Powers rise together, so that their product has at least the product of their means. *)
Lemma together n : expect w x * expect w (fun i => x i ^+ n) <= expect w (fun i => x i ^+ n.+1).
Proof.
pose gap i j := (x i - x j) * (x i ^+ n - x j ^+ n).
have gap_ge0 i j : 0 <= gap i j.
  rewrite /gap; have [le|lt] := lerP (x i) (x j).
    by rewrite mulr_le0 // subr_le0 // ler_expn2r ?nnegrE.
  by rewrite mulr_ge0 // subr_ge0 ?ler_expn2r ?nnegrE // ltW.
have gapE i j : gap i j = (x i ^+ n.+1 - x i * x j ^+ n) + (x j ^+ n.+1 - x j * x i ^+ n).
  by rewrite /gap mulrBl !mulrBr -!exprS opprB.
have half : expect w (fun i => expect w (fun j => x i ^+ n.+1 - x i * x j ^+ n))
    = expect w (fun i => x i ^+ n.+1) - expect w x * expect w (fun i => x i ^+ n).
  transitivity (expect w (fun i => x i ^+ n.+1 + - expect w (fun j => x j ^+ n) * x i)).
    apply: eq_expect => i; rewrite mulNr [_ * x i]mulrC -mulrN -[X in X + _](expect_const law) -mulN1r.
    rewrite -expectZ -expectZ -expectD; apply: eq_expect => j.
    by rewrite mulN1r mulrN.
  by rewrite expectD expectZ mulNr mulrC.
have twice : expect w (fun i => expect w (gap i)) = (expect w (fun i => x i ^+ n.+1)
    - expect w x * expect w (fun i => x i ^+ n)) *+ 2.
  rewrite mulr2n -{1}half -half [X in _ = _ + X]exchange_expect -expectD; apply: eq_expect => i.
  by rewrite -expectD; apply: eq_expect => j; rewrite gapE.
rewrite -subr_ge0 -(pmulrn_lge0 _ (ltn0Sn 1)) -twice; case: law => w_ge0 _.
by apply: sumr_ge0 => i _; rewrite mulr_ge0 //; apply: sumr_ge0 => j _; rewrite mulr_ge0.
Qed.

(*| T6
   English: "For c = 1 it says u(RN) ≥ u(N)^R"
   Python: "For c = 1: u(RN) ≥ u(N)^R"
   Scope: whole R; x i is the share (1 − p_i)^N left of pattern i. *)
Theorem one_exposure n : expect w x ^+ n <= expect w (fun i => x i ^+ n).
Proof.
elim: n => [|n IH]; first by rewrite (eq_expect w (fun i => expr0 (x i))) expect_const.
apply: le_trans (together n); rewrite exprS ler_wpmul2l //; case: law => w_ge0 _.
by apply: sumr_ge0 => i _; rewrite mulr_ge0.
Qed.
End OneExposure.
